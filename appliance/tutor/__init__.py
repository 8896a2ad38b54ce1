"""The domain, pure: wrong-answer analysis (오답분석) and similar problems (유사문제 생성)."""
