"""`python -m local.demo`: start the platform, deploy, play every act, say how to go on."""

from __future__ import annotations

import argparse
import sys

from lakehouse.errors import LakehouseError
from local.demo.shop import Shop
from local.demo.stage import FAILED, Lake, Stage
from local.demo.tpch import Files

FAREWELL = (
    "The orders run FAILED on purpose: a file without a column was rejected, its good neighbours were published.",
    "",
    "How to go on:",
    "  .venv/bin/lake status                                 what is deployed, what waits, what is alarmed",
    '  .venv/bin/lake sql "SELECT * FROM silver_tpch.orders LIMIT 5"',
    '  .venv/bin/lake sql --engine redshift "SELECT segment, SUM(revenue) FROM gold_shop.daily_sales GROUP BY segment"',
    "  .venv/bin/lake quarantine tpch.orders                 the rows that broke a rule, and why",
    "  .venv/bin/lake drop tpch.orders FILE.csv              a file of your own, then: .venv/bin/lake wait",
    "  .venv/bin/lake down                                   stop (state is kept); with --wipe forget everything",
)


def play(*, scale: float, days: int) -> None:
    """Play the demo.

    Args:
        scale: TPC-H scale factor.
        days: Order dates that are delivered.

    Raises:
        LakehouseError: Something failed or is not as it must be.
    """
    stage = Stage()
    lake = Lake(stage=stage)
    stage.title("Start the platform and deploy every stack")
    lake("up")
    lake("deploy")
    shop = Shop(stage=stage, lake=lake)
    shop.begin()
    Files(stage=stage, lake=lake, scale=scale, days=days).play()
    shop.play()
    stage.title("Alarms")
    alarms = lake("status", "--json").document["alarms"]
    stage.table(("alarm", "state"), ((alarm["name"], alarm["state"]) for alarm in alarms))
    stage.title(f"Done in {stage.seconds:.0f} s; everything above was checked")
    for line in FAREWELL:
        stage.say(line)


def main(argv: list[str] | None = None) -> int:
    """Run the demo; exit code 1 if anything failed or is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="Data travels from its sources to gold on this laptop.")
    parser.add_argument("--scale", type=float, default=0.1, help="TPC-H scale factor (default: %(default)s)")
    parser.add_argument("--days", type=int, default=3, help="order dates to deliver (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        play(scale=arguments.scale, days=arguments.days)
    except KeyboardInterrupt:
        sys.stderr.write("\nmake demo: interrupted; `make demo` goes on from here, `.venv/bin/lake down --wipe` begins anew\n")
        return FAILED
    except LakehouseError as error:
        sys.stderr.write(
            f"\nmake demo: {error}\nThe platform stays up, so that you can look: .venv/bin/lake status, .venv/bin/lake runs, .venv/bin/lake logs RUN\n"
        )
        return FAILED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
