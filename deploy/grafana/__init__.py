"""The dashboards as code: what the academy's IT person looks at.

``board`` holds what a panel is, one module each holds a dashboard
(``overview``, ``latency``, ``apps``, ``gpu``, ``engine``, ``privacy``),
``drawing`` makes Grafana's JSON of them with Grafana's own builder, ``page``
makes ``docs/dashboards.md``. ``python -m deploy.grafana`` writes both.
"""
