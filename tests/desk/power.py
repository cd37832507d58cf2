"""What a look of half an hour can tell at best: `python -m tests.desk.power` (decision 14).

In one subject whose ordinary count follows the negative binomial law of `desk.surge.tail`, the count's own tail is the
most powerful test of a rise by a known factor (its likelihood ratio grows with the count), so no other statistic of the
same half hour tells more. Printed: how many people must be usual in half an hour for a rise to be told nine times in
ten.
"""

from __future__ import annotations

from datetime import timedelta

from desk.surge import Rules, limit, tail

WINDOW = timedelta(minutes=30)
SURE = 0.9
SCATTERS = (0.0, 0.05, 0.1, 0.2, 0.3)
LARGEST = 200.0  # people in half an hour; beyond it nothing here writes


def power(mu: float, phi: float, alpha: float, times: float) -> float:
    """The chance that `times` the usual `mu` goes beyond what `alpha` allows by chance; the scatter stays as it was."""
    n = int(mu) + 1
    while tail(n, mu, phi) > alpha:
        n += 1
    return tail(n, times * mu, phi)


def least(phi: float, alpha: float, times: float) -> float | None:
    """The smallest usual count from which on it is told with `SURE`; None: not up to `LARGEST`."""
    mu = 0.1
    while mu <= LARGEST:
        if all(power(mu * step, phi, alpha, times) >= SURE for step in (1.0, 1.03, 1.07)):
            return mu
        mu *= 1.05
    return None


def main() -> None:
    rules = Rules()
    levels = (
        ("one subject alone, looked at twice an hour, the whole budget", 1 / (7 * 48)),
        ("as here, a kind with 1 subject", limit(rules, WINDOW, 1)),
        ("as here, a kind with 8 subjects", limit(rules, WINDOW, 8)),
        ("as here, a kind with 500 subjects", limit(rules, WINDOW, 500)),
    )
    for times in (5, 10):
        print(f"\n{times}x told in {SURE:.0%} of cases: least people usual in half an hour, by scatter phi\n")
        print("| threshold | p | " + " | ".join(f"{phi:g}" for phi in SCATTERS) + " |")
        print("|---|---|" + "---|" * len(SCATTERS))
        for name, alpha in levels:
            found = (least(phi, alpha, times) for phi in SCATTERS)
            cells = " | ".join("never" if mu is None else f"{mu:.1f}" for mu in found)
            print(f"| {name} | {alpha:.0e} | {cells} |")


if __name__ == "__main__":
    main()
