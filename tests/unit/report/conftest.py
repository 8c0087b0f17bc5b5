"""Studies on disk, made once for all tests of the report."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from observatory.analysis.study_fits import fit_study, write_fits, write_replicas_csv
from observatory.store.reader import Study

from tests.unit.report.fabricate import Plan, fabricate_study
