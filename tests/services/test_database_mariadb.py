"""
The rules of the database tests on a real MariaDB.

The tests are those of tests/unit/database, collected here again: they ask for the fixture `url`, which names a
MariaDB database in this folder.
"""

# ruff: noqa: F403, F401

from __future__ import annotations

import pytest

from tests.unit.database.conftest import database, migrated
from tests.unit.database.test_columns import *
from tests.unit.database.test_day_totals import *
from tests.unit.database.test_days import *
from tests.unit.database.test_histories import *
from tests.unit.database.test_leases import *
from tests.unit.database.test_ledger import *
from tests.unit.database.test_limits import *
from tests.unit.database.test_orders_read import *
from tests.unit.database.test_products import *
from tests.unit.database.test_runs import *
from tests.unit.database.test_schema import *
from tests.unit.database.test_shops import *
from tests.unit.database.test_text import *
from tests.unit.database.test_upsert import *
from tests.unit.database.test_watermarks import *
from tests.unit.database.test_windows import *

pytestmark = pytest.mark.services
