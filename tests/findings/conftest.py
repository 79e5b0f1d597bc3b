from report.conftest import esc10, esc10_study, make_study  # noqa: F401  # fixtures
