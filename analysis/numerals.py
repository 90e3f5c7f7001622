"""Numbers and dollars as text: what is undefined is said, never 0."""


def number(value: float | None, digits: int = 4) -> str:
    """A number with a true minus sign; `not defined` for null, never 0."""
    if value is None:
        return "not defined"
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not float(text.replace(",", "")) else text.replace("-", "−")  # no minus before a zero


def usd(value: float | None) -> str:
    """Dollars with the digits that matter; a null price is said, never $0."""
    if value is None:
        return "not known"
    return "$0" if value == 0 else f"${value:,.2f}" if value >= 10 else f"${value:.4f}"
