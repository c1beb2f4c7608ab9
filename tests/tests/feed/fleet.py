"""Runs the queries of contrib/fleet over files of JSON lines: DATABASE QUERIES LINES; one JSON object of their rows."""

import json
import pathlib
import sys


def duckdb_rows(queries, lines):
    import duckdb

    connection = duckdb.connect()
    view = (queries / "lines.sql").read_text()
    shipped = "'/var/log/fleet/*.json'"
    assert shipped in view
    connection.execute(view.replace(shipped, f"'{lines}/*.json'"))

    def rows(query):
        answer = connection.execute(query)
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row)) for row in answer.fetchall()]

    return rows


def clickhouse_rows(queries, lines):
    from chdb import session

    database = session.Session()
    for statement in (queries / "table.sql").read_text().split(";\n"):
        if statement.strip():
            database.query(statement)
    load = (queries / "load.sql").read_text()
    for path in sorted(lines.glob("*.json")):
        database.query(load + path.read_text())

    def rows(query):
        # 64-bit numbers as numbers.
        settings = "\nSETTINGS output_format_json_quote_64bit_integers = 0"
        answer = database.query(query.rstrip().removesuffix(";") + settings, "JSON")
        return json.loads(answer.bytes())["data"]

    return rows


database, queries, lines = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
rows = {"duckdb": duckdb_rows, "clickhouse": clickhouse_rows}[database](queries, lines)
names = ["pairs", "causes", "injected"]
answers = {name: rows((queries / f"{name}.sql").read_text()) for name in names}
print(json.dumps(answers, default=str))
