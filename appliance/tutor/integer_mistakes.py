"""Mistakes in whole-number arithmetic: carries, borrows, remainders, order, signs."""

from __future__ import annotations

from appliance.tutor.integers import Addition, Division, Multiplication, Order, Signed, Subtraction
from appliance.tutor.mistakes import Mistake, Say


def _columns(number: int, width: int) -> list[int]:
    """Digits from the ones upwards, padded with zeros."""
    return [number // 10**place % 10 for place in range(width)]


def _digits(number: int) -> int:
    return len(str(number))


def _pairs(problem: Addition | Subtraction) -> list[tuple[int, int]]:
    width = max(_digits(problem.left), _digits(problem.right))
    return list(zip(_columns(problem.left, width), _columns(problem.right, width), strict=True))


def _joined(columns: list[int]) -> str:
    """Columns from the ones upwards as one number; a column may have two digits."""
    return str(int("".join(str(column) for column in reversed(columns))))


# --- Addition --------------------------------------------------------------------------------


def _carry_dropped(problem: Addition) -> str:
    """Writes the ones of every column sum and forgets the carry (Ashlock; VanLehn: forget carry)."""
    sums = [top + bottom for top, bottom in _pairs(problem)]
    return _joined([column % 10 for column in sums[:-1]] + sums[-1:])


def _columns_joined(problem: Addition) -> str | None:
    """Writes every column sum in full, side by side: 27 + 35 = 512 (Ashlock)."""
    sums = [top + bottom for top, bottom in _pairs(problem)]
    return _joined(sums) if any(column > 9 for column in sums[:-1]) else None


def _first_carry(problem: Addition) -> tuple[int, int]:
    return next((pair for pair in _pairs(problem) if sum(pair) > 9), _pairs(problem)[0])


def _say_carry(problem: Addition) -> Say:
    top, bottom = _first_carry(problem)
    work = f"{top}+{bottom}={top + bottom}"
    return Say(f"{work}에서 1을 위 자리로 올려요.", f"{work}: carry the 1.")


def _say_columns(problem: Addition) -> Say:
    top, bottom = _first_carry(problem)
    total = top + bottom
    work = f"{top}+{bottom}={total}"
    return Say(f"{work}: {total % 10}만 쓰고 1은 올려요.", f"{work}: write {total % 10}, carry 1.")


# --- Subtraction -----------------------------------------------------------------------------


def _smaller_from_larger(problem: Subtraction) -> str:
    """Takes the smaller digit from the larger in every column (Brown & Burton: smaller-from-larger)."""
    return _joined([abs(top - bottom) for top, bottom in _pairs(problem)])


def _borrow_unpaid(problem: Subtraction) -> str | None:
    """Adds ten to a column without taking one from the next (Brown & Burton: borrow-no-decrement)."""
    pairs = _pairs(problem)
    if pairs[-1][0] < pairs[-1][1]:
        return None
    return _joined([top - bottom + (10 if top < bottom else 0) for top, bottom in pairs])


def _first_borrow(problem: Subtraction) -> tuple[int, int, int]:
    pairs = _pairs(problem)
    for place, (top, bottom) in enumerate(pairs[:-1]):
        if top < bottom:
            return top, bottom, pairs[place + 1][0]
    return pairs[0][0], pairs[0][1], pairs[-1][0]


def _say_smaller(problem: Subtraction) -> Say:
    top, bottom, _ = _first_borrow(problem)
    work = f"{top + 10}-{bottom}={top + 10 - bottom}"
    return Say(f"10을 빌려요: {work}.", f"Borrow ten: {work}.")


def _say_unpaid(problem: Subtraction) -> Say:
    _, _, lender = _first_borrow(problem)
    if lender == 0:
        return Say("빌려준 자리에서 1을 빼요.", "Take 1 from the column that lent.")
    return Say(f"빌려준 {lender}에서 1을 빼요.", f"Take 1 from the {lender} that lent.")


# --- Multiplication --------------------------------------------------------------------------


def _product_carry_dropped(problem: Multiplication) -> str:
    """Multiplies every digit and forgets the carry (Ashlock)."""
    products = [digit * problem.right for digit in _columns(problem.left, _digits(problem.left))]
    return _joined([product % 10 for product in products[:-1]] + products[-1:])


def _product_carry_first(problem: Multiplication) -> str:
    """Adds the carry to the next digit before multiplying it: 27 × 3 = 121 (Ashlock)."""
    columns, carry = [], 0
    for digit in _columns(problem.left, _digits(problem.left)):
        product = (digit + carry) * problem.right
        columns.append(product)
        carry = product // 10
    return _joined([column % 10 for column in columns[:-1]] + columns[-1:])


def _say_product_carry(problem: Multiplication) -> Say:
    product = problem.left % 10 * problem.right
    work = f"{problem.left % 10}×{problem.right}={product}"
    return Say(f"{work}의 올림도 더해요.", f"{work}: carry the {product // 10}.")


def _say_product_first(problem: Multiplication) -> Say:
    carry = problem.left % 10 * problem.right // 10
    digit = problem.left // 10 % 10
    work = f"{digit}×{problem.right}+{carry}={digit * problem.right + carry}"
    return Say(f"곱한 뒤 더해요: {work}.", f"Multiply, then add: {work}.")


# --- Division --------------------------------------------------------------------------------


def _remainder_dropped(problem: Division) -> str | None:
    """Divides every digit by itself and drops the remainders: 96 ÷ 4 = 21 (Ashlock)."""
    digits = [int(digit) for digit in str(problem.left)]
    if digits[0] < problem.right:
        return None
    return str(int("".join(str(digit // problem.right) for digit in digits)))


def _zero_dropped(problem: Division) -> str | None:
    """Leaves the zero inside the quotient out: 412 ÷ 4 = 13 (Ashlock)."""
    quotient = str(problem.left // problem.right)
    return quotient.replace("0", "") if "0" in quotient[1:-1] else None


def _say_remainder(problem: Division) -> Say:
    first = int(str(problem.left)[0])
    rest = first % problem.right
    work = f"{first}÷{problem.right}"
    return Say(f"{work}의 나머지 {rest}도 내려 써요.", f"{work} leaves {rest}: bring it down.")


def _say_zero(problem: Division) -> Say:
    quotient = problem.left // problem.right
    return Say(f"몫에 0도 써요: {quotient}.", f"Write the 0 too: {quotient}.")


# --- Order and signs -------------------------------------------------------------------------


def _left_to_right(problem: Order) -> str | None:
    """Works from left to right: 2 + 3 × 4 = 20 (Booth)."""
    return None if problem.brackets else str((problem.first + problem.signed_second) * problem.factor)


def _brackets_ignored(problem: Order) -> str | None:
    """Leaves the brackets out of account: (2 + 3) × 4 = 14 (Booth)."""
    return str(problem.first + problem.signed_second * problem.factor) if problem.brackets else None


def _say_order(problem: Order) -> Say:
    work = f"{problem.second}×{problem.factor}={problem.second * problem.factor}"
    return Say(f"곱셈 먼저: {work}.", f"Multiply first: {work}.")


def _say_brackets(problem: Order) -> Say:
    work = f"{problem.first}{problem.sign}{problem.second}={problem.first + problem.signed_second}"
    return Say(f"괄호 먼저: {work}.", f"Brackets first: {work}.")


def _double_negative(problem: Signed) -> str | None:
    """Reads minus a negative as minus: 3 - (-8) = -5 (Hart)."""
    return str(problem.left + problem.right) if problem.operation == "-" else None


def _sign_rule(problem: Signed) -> str | None:
    """Uses the sign rule of products wrongly: flips the sign of a product, or drops both signs of a difference (Hart)."""
    if problem.operation == "×":
        return str(-problem.left * problem.right)
    return str(-problem.left - problem.right) if problem.left < 0 else None


def _say_double(problem: Signed) -> Say:
    work = f"{problem.left}+{-problem.right}"
    return Say(f"빼지 말고 더해요: {work}.", f"Add instead: {work}.")


def _say_rule(problem: Signed) -> Say:
    if problem.operation == "-":
        return Say(
            f"앞의 부호는 남겨요: {problem.left}+{-problem.right}.",
            f"Keep the first sign: {problem.left}+{-problem.right}.",
        )
    if problem.left < 0:
        return Say("음수×음수는 양수예요.", "Negative × negative is positive.")
    return Say("양수×음수는 음수예요.", "Positive × negative is negative.")


INTEGER_MISTAKES = (
    Mistake(
        "addition_carry_dropped",
        Say("받아올림 빠뜨림", "carry dropped in addition"),
        Say(
            "한 자리의 합이 10을 넘을 때 받아올린 1을 더하지 않는다.",
            "The 1 carried from a column over nine is not added.",
        ),
        (Addition,),
        _carry_dropped,
        _say_carry,
    ),
    Mistake(
        "addition_columns_joined",
        Say("자리별 합 이어 쓰기", "column sums joined"),
        Say("자리마다 합을 그대로 이어 쓴다.", "Every column sum is written in full, side by side."),
        (Addition,),
        _columns_joined,
        _say_columns,
    ),
    Mistake(
        "subtraction_smaller_from_larger",
        Say("큰 숫자에서 작은 숫자 빼기", "smaller digit from larger"),
        Say(
            "자리마다 위아래를 가리지 않고 큰 숫자에서 작은 숫자를 뺀다.",
            "In each column the smaller digit is taken from the larger.",
        ),
        (Subtraction,),
        _smaller_from_larger,
        _say_smaller,
    ),
    Mistake(
        "subtraction_borrow_unpaid",
        Say("받아내림 후 1을 빼지 않음", "borrow not paid back"),
        Say("받아내림한 뒤 윗자리에서 1을 빼지 않는다.", "Ten is borrowed but the lending column is not reduced."),
        (Subtraction,),
        _borrow_unpaid,
        _say_unpaid,
    ),
    Mistake(
        "multiplication_carry_dropped",
        Say("곱셈의 올림 빠뜨림", "carry dropped in multiplication"),
        Say("곱셈에서 올린 수를 더하지 않는다.", "The carry of a product is not added."),
        (Multiplication,),
        _product_carry_dropped,
        _say_product_carry,
    ),
    Mistake(
        "multiplication_carry_first",
        Say("올림을 곱하기 전에 더함", "carry added before multiplying"),
        Say("올린 수를 먼저 더한 다음 곱한다.", "The carry is added to the next digit before that is multiplied."),
        (Multiplication,),
        _product_carry_first,
        _say_product_first,
    ),
    Mistake(
        "division_remainder_dropped",
        Say("나머지를 내리지 않음", "remainder dropped"),
        Say("자리마다 따로 나누고 나머지를 버린다.", "Each digit is divided by itself and remainders are dropped."),
        (Division,),
        _remainder_dropped,
        _say_remainder,
    ),
    Mistake(
        "division_zero_dropped",
        Say("몫의 0 빠뜨림", "zero left out of the quotient"),
        Say("몫 가운데의 0을 쓰지 않는다.", "The zero inside the quotient is left out."),
        (Division,),
        _zero_dropped,
        _say_zero,
    ),
    Mistake(
        "order_left_to_right",
        Say("앞에서부터 차례로 계산", "worked from left to right"),
        Say(
            "곱셈을 먼저 하지 않고 앞에서부터 계산한다.",
            "The operations are done from left to right, not multiplication first.",
        ),
        (Order,),
        _left_to_right,
        _say_order,
    ),
    Mistake(
        "order_brackets_ignored",
        Say("괄호 무시", "brackets ignored"),
        Say("괄호를 먼저 계산하지 않는다.", "The brackets are treated as if they were not there."),
        (Order,),
        _brackets_ignored,
        _say_brackets,
    ),
    Mistake(
        "sign_double_negative",
        Say("음수를 빼는 것을 그냥 뺌", "minus a negative read as minus"),
        Say("음수를 뺄 때 더하지 않고 뺀다.", "Taking a negative away is done as taking the positive away."),
        (Signed,),
        _double_negative,
        _say_double,
    ),
    Mistake(
        "sign_rule_misused",
        Say("부호 규칙을 잘못 씀", "sign rule misused"),
        Say(
            "곱의 부호를 반대로 쓰거나, 뺄셈에서 두 음의 부호를 모두 없앤다.",
            "The sign of a product is flipped, or both signs of a difference are dropped.",
        ),
        (Signed,),
        _sign_rule,
        _say_rule,
    ),
)
