"""What explains say, as data: a small plan, a large one, one of dbt, one whose every text is hostile.

Apart from the records of :mod:`tests.plan_output.samples`, because the comparison of two versions of the code shows the same
plans to both and may import neither.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

NOW = datetime(2026, 4, 28, 10, 0, tzinfo=timezone.utc)

DIFF = """\
--- 
+++ 
@@ -1,14 +1,15 @@
 MODEL (
   name marts.fct_orders,
   kind INCREMENTAL_BY_TIME_RANGE (time_column ordered_at)
 );
 
 SELECT
   o.order_id,
   o.customer_id,
-  o.amount AS revenue,
-  o.legacy_code,
+  o.amount - COALESCE(d.amount, 0) AS revenue, -- after discounts
+  d.amount AS discount,
   o.ordered_at
 FROM staging.stg_orders AS o
+LEFT JOIN staging.stg_discounts AS d USING (order_id)
 WHERE o.status <> 'cancelled'
"""


def span(days: int) -> list[dict[str, str]]:
    """The last whole days before :data:`NOW`, as one interval."""
    last = NOW.date() - timedelta(days=1)
    return [{"start": (last - timedelta(days=days - 1)).isoformat(), "end": last.isoformat()}]


def small_output() -> dict[str, Any]:
    """Two changes, one of them breaking, one model more, one less, three downstream."""
    lineage = {
        "marts.fct_orders": ["staging.stg_orders", "staging.stg_discounts"],
        "staging.stg_discounts": ["raw.discounts"],
        "staging.stg_orders": ["raw.orders"],
        "marts.daily_revenue": ["marts.fct_orders", "staging.calendar"],
        "marts.customer_value": ["marts.fct_orders", "marts.dim_customers"],
        "reports.board": ["marts.daily_revenue", "marts.customer_value"],
    }
    downstream = ("marts.daily_revenue", "marts.customer_value", "reports.board")
    return {
        "environment": "prod",
        "is_new_environment": False,
        "explain_completed": True,
        "has_changes": True,
        "modelsAdded": 1,
        "modelsModified": 5,
        "modelsRemoved": 1,
        "modelsNeedingBackfill": 5,
        "models": [
            {
                "name": "marts.fct_orders",
                "change": "directly_modified",
                "category": "breaking",
                "kind": "INCREMENTAL_BY_TIME_RANGE",
                "diff": DIFF,
                "backfill": span(14),
                "columns_added": ["discount"],
                "columns_removed": ["legacy_code"],
                "columns_changed": [{"name": "revenue", "from": "INT", "to": "DECIMAL(18, 2)"}],
            },
            {
                "name": "staging.stg_orders",
                "change": "directly_modified",
                "category": "non_breaking",
                "kind": "VIEW",
                "diff": "@@ -3,3 +3,3 @@\n SELECT\n-  UPPER(status) AS status\n+  LOWER(status) AS status\n FROM raw.orders",
                "backfill": [],
            },
            {
                "name": "staging.stg_discounts",
                "change": "added",
                "category": "breaking",
                "kind": "FULL",
                "diff": "+MODEL (name staging.stg_discounts, kind FULL);\n+\n+SELECT order_id, amount FROM raw.discounts",
                "backfill": span(1),
            },
            {
                "name": "legacy.codes",
                "change": "removed",
                "kind": "SEED",
                "diff": "-MODEL (name legacy.codes, kind SEED);",
                "backfill": [],
            },
            *(
                {
                    "name": name,
                    "change": "indirectly_modified",
                    "category": "indirect_breaking",
                    "kind": "FULL",
                    "backfill": span(14),
                }
                for name in downstream
            ),
        ],
        "lineage": lineage,
        "tests": {"run": 12, "passed": 12, "failed": 0, "names": [], "output": ""},
        "warnings": ["staging.stg_orders has no audit."],
    }


def large_output(changed: int = 1000, models: int = 5000) -> dict[str, Any]:
    """``changed`` models of a warehouse of ``models``; the rest are what they read."""
    dice = random.Random(0)
    names = [
        f"{('staging', 'intermediate', 'marts', 'reports')[at % 4]}.{dice.choice(_WORDS)}_{dice.choice(_WORDS)}_{at}"
        for at in range(models)
    ]
    direct, added, removed = changed // 5, changed // 20, changed // 33
    rows: list[dict[str, Any]] = []
    lineage: dict[str, list[str]] = {}
    readable = names[changed:]
    for at, name in enumerate(names[:changed]):
        if at >= changed - removed:
            rows.append({"name": name, "change": "removed", "kind": "VIEW", "diff": "-SELECT 1", "backfill": []})
            continue
        change = "directly_modified" if at < direct else "added" if at < direct + added else "indirectly_modified"
        category = (
            ("breaking", "non_breaking", "forward_only")[at % 3] if change != "indirectly_modified" else "indirect_breaking"
        )
        row: dict[str, Any] = {"name": name, "change": change, "category": category, "kind": "INCREMENTAL_BY_TIME_RANGE"}
        row["backfill"] = span(1 + at % 60)
        if change != "indirectly_modified":
            row["diff"] = DIFF
            row["columns_added"] = ["discount"]
        rows.append(row)
        # Ten layers, as warehouses have them: everything reads from the layer before.
        size = max(1, changed // 10)
        before = names[max(0, at // size - 1) * size : at // size * size]
        own = {readable.pop() for _ in range(5) if readable}
        lineage[name] = sorted({*dice.sample(before, min(2, len(before))), *own})
    counts = {"modelsAdded": added, "modelsModified": changed - added - removed, "modelsRemoved": removed}
    return {**small_output(), **counts, "models": rows, "lineage": lineage, "modelsNeedingBackfill": changed - removed}


_WORDS = ("orders", "customers", "revenue", "sessions", "products", "inventory", "payments", "refunds", "campaigns", "invoices")

HOSTILE = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    '"><svg onload=window.hacked=1>',
    "'-alert(1)-'",
    "javascript:window.hacked=1",
    "{{ 7*7 }}{% include 'x' %}",
    "</textarea></pre></title><script>window.hacked=1</script>",
    "\u202egnp.exe",
    "a" * 3000,
    "\x1b[31mred\x1b[0m\x00\x07",
    "Z\u0351\u036b\u0343\u036a" * 40,
    "-->]]><!--",
)


def hostile_output() -> dict[str, Any]:
    """A plan in which every text is meant to do harm."""
    text = " ".join(HOSTILE)
    changes = ("directly_modified", "added", "removed", "indirectly_modified", "metadata", None)
    models = [
        {
            "name": name,
            "change": changes[at % len(changes)],
            "category": HOSTILE[at - 1] if at % 2 else "breaking",
            "kind": name,
            "reasons": [name],
            "details": [text],
            "diff": "\n".join(f"{sign}{line}" for line in HOSTILE for sign in "+- "),
            "backfill": [{"start": name, "end": name}],
            "columns_added": list(HOSTILE),
            "columns_removed": list(HOSTILE),
            "columns_changed": [{"name": name, "from": name, "to": name}],
        }
        for at, name in enumerate(HOSTILE)
    ]
    return {
        **small_output(),
        "environment": HOSTILE[0],
        "models": models,
        "lineage": {name: list(HOSTILE) for name in HOSTILE},
        "warnings": list(HOSTILE),
        "tests": {"run": 3, "failed": 1, "names": list(HOSTILE), "output": text},
        "contracts_broken": [{"model": name, "problem": name} for name in HOSTILE],
        "column_impact": [{"model": name, "column": name, "change": name, "read_by": list(HOSTILE)} for name in HOSTILE],
        "selection": {
            "mode": "full",
            "reason": text,
            "arguments": list(HOSTILE),
            "nodes": list(HOSTILE[:3]),
            "models": list(HOSTILE[:2]),
            "tests": list(HOSTILE[2:3]),
        },
        "resources": [{"type": name, "name": name, "change": name, "affects": list(HOSTILE)} for name in HOSTILE],
        "requirements_diff": text,
        "packages_diff": text,
        "warehouse": dict(zip(HOSTILE, reversed(HOSTILE), strict=True)),
        "asked": list(HOSTILE),
        "unstable": [{"kind": name, "name": name, "file": name, "what": text} for name in HOSTILE],
        "drifts": [{"kind": name, "name": name, "change": name, "before": name, "after": text} for name in HOSTILE],
    }


def dbt_output() -> dict[str, Any]:
    """What an explain of a dbt project says."""
    built, tests = ["stg_orders", "fct_orders", "fct_daily"], [f"check_{number}" for number in range(8)]
    return {
        "environment": "prod",
        "explain_completed": True,
        "has_changes": True,
        "modelsAdded": 0,
        "modelsModified": 3,
        "modelsRemoved": 0,
        "modelsNeedingBackfill": 2,
        "models": [
            {
                "name": "stg_orders",
                "unique_id": "model.shop.stg_orders",
                "change": "directly_modified",
                "kind": "view",
                "reasons": ["body", "macro"],
                "details": ["macro cents_to_euros"],
                "category": "breaking",
                "diff": DIFF,
                "diff_of": "compiled",
                "columns_removed": ["legacy_code"],
            },
            {
                "name": "fct_orders",
                "unique_id": "model.shop.fct_orders",
                "change": "indirectly_modified",
                "kind": "table",
                "reasons": [],
            },
            {
                "name": "fct_daily",
                "unique_id": "model.shop.fct_daily",
                "change": "indirectly_modified",
                "kind": "incremental",
                "reasons": [],
            },
        ],
        "lineage": {"fct_orders": ["stg_orders"], "fct_daily": ["fct_orders"]},
        "resources": [
            {"type": "macro", "name": "cents_to_euros", "change": "modified", "reasons": ["body"], "affects": ["stg_orders"]}
        ],
        "selection": {
            "mode": "selected",
            "arguments": ["--select", "stg_orders+"],
            "nodes": [*(f"model.shop.{name}" for name in built), *(f"test.shop.{name}" for name in tests)],
            "models": built,
            "tests": tests,
        },
        "tests_to_run": [],
        "contracts_broken": [{"model": "stg_orders", "problem": "column legacy_code is gone"}],
        "column_impact": [{"model": "stg_orders", "column": "legacy_code", "change": "removed", "read_by": ["fct_orders.code"]}],
        "warnings": ["fct_daily is incremental: rows it already has stay as the old code made them."],
        "compiled": {"available": True},
    }
