# Run inside an environment that holds `pip install -e '.[test]'`.

# Set where the tests that are not slow have just run, and left their coverage: then only the slow ones are missing.
covered := env("COVERED", "")

set shell := ["bash", "-euo", "pipefail", "-c"]

# List what there is.
_default:
    @just --list

# The whole of CI.
check: style types layers full

# Format, and mend what can be mended without thinking.
fix:
    ruff format .
    ruff check --fix .

style:
    ruff format --check .
    ruff check .

types:
    mypy

layers:
    lint-imports

# Every test, the slow ones too, and how far they walk through the trusted base.
full:
    pytest {{ if covered == "" { '-m "not long"' } else { '-m "slow and not long" --cov-append' } }} --cov --cov-report=json:.coverage.json
    python -m tests.gates.coverage_gate .coverage.json

# The tests that a change should wait for.
test *args:
    pytest {{ args }}

# The figures, as ratios taken in one run.
bench *args:
    python -m bench {{ args }}

# One governed call of every kind, then the pack verified by a second process.
demo *args:
    helm demo {{ args }}

# Make a release of this commit in a folder: wheel, sdist, bill of materials, sample pack, signed provenance, sums.
release folder *args:
    python -m release make {{ folder }} {{ args }}

# Verify a release with the public key alone.
release-verify folder *args:
    python -m release verify {{ folder }} {{ args }}

# Every way of tampering with a pack of every kind: some fifty thousand, half an hour. Then what the browser says.
tamper:
    pytest -m long --timeout 3600 tests/tamper tests/journeys/test_browser_verifier.py

# A log of a million receipts exported, verified twice and replayed in bounded memory: an hour, forty gigabytes.
million *args:
    python -m bench.million {{ args }}

# The kernel's own suite on SQLite and on PostgreSQL; `just check` runs it in memory and on PostgreSQL.
stores:
    pytest -m "every_store and slow" --timeout 600 tests

# Whether what the documents name is there: files, sections, tests, commands, messages; and each claim of a map its proof.
docs-truth:
    pytest tests/gates/test_docs_truth.py tests/gates/test_docs_maps.py tests/gates/test_docs_messages.py

# Whether every public surface has a page, and every page its sources and its proofs, its route and its Markdown.
docs-coverage:
    pytest tests/gates/test_docs_coverage.py tests/actors/documents tests/actors/doors/test_documents.py

# Take the pictures of the console in docs/images anew, in a browser.
pictures:
    python -m tests.journeys.console_pictures docs/images

# Write constraints.txt anew: everything that today's exact dependencies bring along.
lock:
    #!/usr/bin/env bash
    set -euo pipefail
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    python3 -m venv "$place/venv"
    "$place/venv/bin/pip" install --quiet --editable '.[test]'
    {
      echo "# Every distribution that an install with tests brings along, exact. Written by: just lock"
      echo "# Install on it with: pip install -c constraints.txt -e '.[test]'"
      "$place/venv/bin/pip" freeze --all --exclude-editable | grep -v "^pip=="
    } > constraints.txt
