"""Prints what an independent reader of JUnit files (PyPI `junitparser`) finds in those that are named, as JSON."""

import json
import sys

from junitparser import JUnitXml, TestSuite


def case(test):
    found = {"name": test.name, "classname": test.classname, "time": test.time, "system_out": test.system_out}
    results = [(type(result).__name__.lower(), result) for result in test.result]
    found["results"] = [
        {"kind": kind, "type": result.type, "message": result.message, "text": result.text} for kind, result in results
    ]
    return found


def suite(tests):
    counts = {name: getattr(tests, name) for name in ("tests", "failures", "errors", "skipped")}
    return {
        "name": tests.name,
        "hostname": tests.hostname,
        "counts": counts,
        "cases": [case(test) for test in tests],
    }


def document(path):
    xml = JUnitXml.fromfile(path)
    assert not isinstance(xml, TestSuite), "the root is <testsuites>"
    return [suite(tests) for tests in xml]


print(json.dumps([document(path) for path in sys.argv[1:]]))
