"""What is recorded, alerted and drawn: the one source of the rules and dashboards here.

    python3 deploy/monitoring/source.py            writes prometheus/rules.yml, grafana/dashboards and the chart's rules
    python3 deploy/monitoring/source.py --check    fails if they are not what this file says

An alert is an expression, a comparison and a bound, so that the expression can be asked for by itself: one that answers
nothing would never fire. ACTION says what to do.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CHART_RULES = HERE.parent / "helm/nunatak/files/rules.yml"


def quantile(q, metric, by="", window="5m"):
    return f"histogram_quantile({q}, sum by ({by + ', ' if by else ''}le) (rate({metric}_bucket[{window}])))"


# Counters that begin with their first event are nothing until then, which is none.
def happened(metric, window):
    return f"sum(increase({metric}[{window}])) or vector(0)"


RECORDED = {
    "nunatak:sql_statements:rate5m": "sum by (instance) (rate(nunatak_sql_statements_total[5m]))",
    "nunatak:sql_errors:ratio5m":
        "sum(rate(nunatak_sql_errors_total[5m])) / clamp_min(sum(rate(nunatak_sql_statements_total[5m])), 1)",
    "nunatak:sql_statement_seconds:p99_5m": quantile(0.99, "nunatak_sql_statement_seconds"),
    "nunatak:kv_commit_seconds:p99_5m": quantile(0.99, "nunatak_kv_commit_seconds", "instance"),
    "nunatak:lsm_log_sync_seconds:p99_5m": quantile(0.99, "lsm_log_sync_seconds", "instance"),
    "nunatak:kv_lock_wait_seconds:p99_5m": quantile(0.99, "nunatak_kv_lock_wait_seconds"),
    "nunatak:kv_conflicts:ratio5m":
        "sum(rate(nunatak_kv_conflicts_total[5m])) / clamp_min(sum(rate(nunatak_kv_commits_total[5m])), 1)",
    "nunatak:disk_available_bytes:in_6h": "predict_linear(nunatak_disk_available_bytes[1h], 6 * 3600)",
}


class Alert(NamedTuple):
    name: str
    expression: str
    comparison: str
    lasting: str
    severity: str
    summary: str
    action: str


# A process shows clients and its peers the same one.
CERTIFICATES_END = "(nunatak_sql_certificate_expiry_seconds or nunatak_peer_certificate_expiry_seconds)"

ALERTS = [
    Alert("NunatakProcessDown", 'up{job="nunatak"}', "== 0", "1m", "critical",
          "{{ $labels.instance }} does not answer",
          "Look at its log and start it again; with two of three nodes away nothing is served. A machine that is gone for good: "
          "`nunatak admin decommission` its node and start another."),
    Alert("NunatakDiskLow", "nunatak_disk_available_bytes", "< 5e9", "10m", "warning",
          "{{ $labels.instance }} has {{ $value | humanize1024 }}B left on its disk",
          "Make the volume larger, add a node, or shorten the history (`nunatak admin history --set`): deleted rows free their room "
          "one history later."),
    Alert("NunatakDiskFull", "nunatak_disk_available_bytes", "< 268435456", "0m", "critical",
          "{{ $labels.instance }} is in its reserve: writes to its ranges are refused (53100)",
          "Make the volume larger now. Reads, DELETE, DROP and TRUNCATE still work."),
    Alert("NunatakDiskFillsUp", "nunatak:disk_available_bytes:in_6h", "< 268435456", "30m", "warning",
          "{{ $labels.instance }} will have no room in six hours if it goes on like this",
          "Look for what grows: an idle transaction that holds history (`nunatak admin history`), a load, or a new replica."),
    Alert("NunatakReplicaStopped", happened("nunatak_replicas_stopped_total", "30m"), "> 0", "0m", "critical",
          "a replica has stopped",
          "`nunatak admin ranges --format json` names it under `failure`; `nunatak admin move` puts it on another node."),
    Alert("NunatakReplicaDamaged", happened("nunatak_replicas_damaged_total", "30m"), "> 0", "0m", "critical",
          "a node has met data that it cannot read",
          "The range is led elsewhere. Look at the node's disk; stop the node and run `nunatak lsm verify`; replace the disk and "
          "decommission the node."),
    Alert("NunatakCertificateExpires", f"{CERTIFICATES_END} - time()", "< 14 * 86400", "1h", "warning",
          "the certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
          "Make a new one (`nunatak cert`) and put it in the old one's place: it is read at once."),
    Alert("NunatakLoginFailures", "sum by (instance) (rate(nunatak_sql_login_failures_total[5m]))", "> 1", "5m", "warning",
          "many logins fail at {{ $labels.instance }}",
          "The log and --audit-log say from where and as whom: a program with an old password, or somebody who guesses."),
    Alert("NunatakAuditFails", "nunatak_sql_audit_failing", "> 0", "0m", "critical",
          "{{ $labels.instance }} cannot write its audit log",
          "The log says why. Make room on its disk: until then statements that are audited are refused (58030), or not recorded."),
    Alert("NunatakConnectionsRefused", "sum by (instance) (increase(nunatak_sql_connections_refused_total[5m]))", "> 0", "0m",
          "critical", "{{ $labels.instance }} refuses clients: it has 2000",
          "Add gateways, and put a pool between them and programs that connect for each statement."),
    Alert("NunatakConnectionsMany", "nunatak_sql_connections", "> 1600", "10m", "warning",
          "{{ $labels.instance }} has {{ $value }} of 2000 clients",
          "Add gateways, or a pool in front of them; sessions that idle end by idle_session_timeout."),
    Alert("NunatakStatementsFail", "nunatak:sql_errors:ratio5m", "> 0.2", "10m", "warning",
          "{{ $value | humanizePercentage }} of the statements end with an error",
          "Look which: clients see the SQLSTATE. 40001 and 40P01 are to be repeated; 53100 and 53200 are disks and memory that are full."),
    Alert("NunatakStatementsSlow", "nunatak:sql_statement_seconds:p99_5m", "> 5", "15m", "warning",
          "one statement in a hundred takes more than {{ $value | humanizeDuration }}",
          "EXPLAIN (ANALYZE) what is slow; see whether commits (NunatakCommitsSlow) or locks (NunatakLockWaits) are what it waits for."),
    Alert("NunatakCommitsSlow", "nunatak:kv_commit_seconds:p99_5m", "> 1", "10m", "warning",
          "commits take more than {{ $value | humanizeDuration }} at {{ $labels.instance }}",
          "Look at its disk (syncs, delays of writers) and at the links to the other replicas."),
    Alert("NunatakSyncsSlow", "nunatak:lsm_log_sync_seconds:p99_5m", "> 0.5", "10m", "warning",
          "the disk of {{ $labels.instance }} takes {{ $value | humanizeDuration }} to sync a log",
          "Commits wait for it. See what else uses the disk, and whether it fails; `nunatak admin drain` has others lead meanwhile."),
    Alert("NunatakLockWaits", "nunatak:kv_lock_wait_seconds:p99_5m", "> 5", "10m", "warning",
          "waits for row locks take more than {{ $value | humanizeDuration }}",
          "Somebody holds locks for long: a transaction that idles, or one row that all update."),
    Alert("NunatakConflicts", "nunatak:kv_conflicts:ratio5m", "> 0.5", "10m", "warning",
          "{{ $value | humanizePercentage }} as many transactions conflict as commit",
          "Transactions that read and write the same rows: lock with SELECT FOR UPDATE, or make them shorter."),
    Alert("NunatakOutcomesUnknown", "sum(increase(nunatak_kv_ambiguous_total[10m]))", "> 0", "0m", "warning",
          "clients were told that a commit's outcome is unknown (40003, 08007)",
          "A leader was lost in the midst of commits: see NunatakProcessDown. What was acknowledged is there."),
    Alert("NunatakCompactionFails", happened("lsm_compaction_failures_total", "30m"), "> 0", "0m", "critical",
          "compactions fail", "The log says why: a disk that fails or is full."),
    Alert("NunatakWritersDelayed", "sum by (instance) (rate(lsm_write_delay_us_total[5m])) / 1e6 or on (instance) "
          '0 * up{job="nunatak"}', "> 0.5", "10m", "warning",
          "writers wait for compactions at {{ $labels.instance }}",
          "More is written than the disk takes: a faster disk, or more nodes."),
    Alert("NunatakRangesRestless", "sum by (instance) (rate(nunatak_groups_woken_total[15m]))", "> 50", "30m", "warning",
          "{{ $labels.instance }} wakes {{ $value | humanize }} sleeping replicas a second",
          "Ranges are asked just too seldom to stay awake, or two nodes do not reach each other: look for the latter in the logs, else "
          "start the nodes with a longer `--sleep-after`."),
    Alert("NunatakVersionsDiffer", "count(count by (version) (nunatak_build_info))", "> 1", "2h", "warning",
          "processes of different versions run", "Finish the upgrade, or take it back."),
]


class Panel(NamedTuple):
    title: str
    unit: str
    queries: dict
    kind: str = "timeseries"


I = '{instance=~"$instance"}'
W = "[$__rate_interval]"


def rate(metric, by="instance"):
    return f"sum by ({by}) (rate({metric}{I}{W}))"


def percentile(q, metric, by=""):
    return f"histogram_quantile({q}, sum by ({by + ', ' if by else ''}le) (rate({metric}_bucket{I}{W})))"


DASHBOARDS = {
    "overview": ("Nunatak: overview", {
        "Is it well": [
            Panel("Processes that answer", "none", {"of {{job}}": 'sum by (job) (up{job="nunatak"})'}, "stat"),
            Panel("Processes that do not", "none", {"": 'count(up{job="nunatak"}) - sum(up{job="nunatak"})'}, "stat"),
            Panel("Replicas stopped or damaged, 1 h", "none", {
                "stopped": happened("nunatak_replicas_stopped_total", "1h"),
                "damaged": happened("nunatak_replicas_damaged_total", "1h")}, "stat"),
            Panel("Least room on a disk", "bytes", {"": "min(nunatak_disk_available_bytes)"}, "stat"),
            Panel("First certificate to end", "s", {"": f"min{CERTIFICATES_END} - time()"}, "stat"),
            Panel("Versions", "none", {"{{version}}": "count by (version) (nunatak_build_info)"}, "stat"),
        ],
        "What clients see": [
            Panel("Statements", "ops", {"{{instance}}": rate("nunatak_sql_statements_total")}),
            Panel("Time of statements", "s", {
                "half": percentile(0.5, "nunatak_sql_statement_seconds"),
                "95 %": percentile(0.95, "nunatak_sql_statement_seconds"),
                "99 %": percentile(0.99, "nunatak_sql_statement_seconds")}),
            Panel("Errors", "ops", {"{{instance}}": rate("nunatak_sql_errors_total")}),
            Panel("Connections", "none", {"{{instance}}": f"nunatak_sql_connections{I}"}),
        ],
        "What the cluster does": [
            Panel("Commits", "ops", {"{{instance}}": rate("nunatak_kv_commits_total")}),
            Panel("Time of commits, 99 %", "s", {"{{instance}}": percentile(0.99, "nunatak_kv_commit_seconds", "instance")}),
            Panel("Room on disks", "bytes", {"{{instance}}": f"nunatak_disk_available_bytes{I}"}),
            Panel("Syncs of disks", "ops", {"{{instance}}": rate("nunatak_disk_syncs_total")}),
        ],
    }),
    "sql": ("Nunatak: clients and transactions", {
        "Clients": [
            Panel("Connections", "none", {"{{instance}}": f"nunatak_sql_connections{I}"}),
            Panel("New connections", "ops", {"{{instance}}": rate("nunatak_sql_connections_accepted_total")}),
            Panel("Refused, and logins that failed", "ops", {
                "refused by {{instance}}": rate("nunatak_sql_connections_refused_total"),
                "failed at {{instance}}": rate("nunatak_sql_login_failures_total")}),
            Panel("Cancel requests", "ops", {"{{instance}}": rate("nunatak_sql_cancelled_total")}),
        ],
        "Statements": [
            Panel("Statements", "ops", {"{{instance}}": rate("nunatak_sql_statements_total")}),
            Panel("Errors by statements", "percentunit", {
                "all": f"sum(rate(nunatak_sql_errors_total{I}{W})) / clamp_min(sum(rate(nunatak_sql_statements_total{I}{W})), 1)"}),
            Panel("Errors by SQLSTATE", "ops", {"{{sqlstate}}": rate("nunatak_sql_errors_total", "sqlstate")}),
            Panel("Time of statements, 99 %", "s", {"{{instance}}": percentile(0.99, "nunatak_sql_statement_seconds", "instance")}),
            Panel("Time of statements by class, 99 %", "s", {
                "{{class}}": percentile(0.99, "nunatak_sql_statement_seconds", "class")}),
            Panel("Time of statements", "s", {
                "{{le}}": f"sum by (le) (increase(nunatak_sql_statement_seconds_bucket{I}{W}))"}, "heatmap"),
        ],
        "Transactions": [
            Panel("Commits, and those over several ranges", "ops", {
                "commits": f"sum(rate(nunatak_kv_commits_total{I}{W}))",
                "prewrites": f"sum(rate(nunatak_kv_prewrites_total{I}{W}))"}),
            Panel("What did not go well", "ops", {
                "conflicts": f"sum(rate(nunatak_kv_conflicts_total{I}{W}))",
                "deadlocks": f"sum(rate(nunatak_kv_deadlocks_total{I}{W}))",
                "unknown outcomes": f"sum(rate(nunatak_kv_ambiguous_total{I}{W}))",
                "other refusals": f"sum(rate(nunatak_kv_refusals_total{I}{W}))",
                "repeated": f"sum(rate(nunatak_kv_commits_repeated_total{I}{W}))"}),
            Panel("Waits for locks", "ops", {"{{instance}}": rate("nunatak_kv_lock_waits_total")}),
            Panel("Time of waits for locks", "s", {
                "half": percentile(0.5, "nunatak_kv_lock_wait_seconds"),
                "99 %": percentile(0.99, "nunatak_kv_lock_wait_seconds")}),
            Panel("Locks, and those of clients that were gone", "ops", {
                "locks": f"sum(rate(nunatak_kv_locks_total{I}{W}))",
                "expired": f"sum(rate(nunatak_kv_locks_expired_total{I}{W}))"}),
            Panel("Transactions settled by others", "ops", {"{{instance}}": rate("nunatak_kv_intents_chased_total")}),
        ],
    }),
    "nodes": ("Nunatak: nodes", {
        "Requests": [
            Panel("Batches", "ops", {"{{instance}}": rate("nunatak_kv_batches_total")}),
            Panel("Time of batches", "s", {
                "half": percentile(0.5, "nunatak_kv_batch_seconds"), "99 %": percentile(0.99, "nunatak_kv_batch_seconds")}),
            Panel("Keys read, rows scanned", "ops", {
                "keys at {{instance}}": rate("nunatak_kv_keys_read_total"),
                "rows at {{instance}}": rate("nunatak_kv_rows_scanned_total")}),
            Panel("Scans", "ops", {"{{instance}}": rate("nunatak_kv_scans_total")}),
            Panel("Ranges led", "none", {"{{instance}}": f"nunatak_ranges_led{I}"}),
            Panel("Requests to the hottest range", "ops", {"{{instance}}": f"nunatak_range_requests_per_second_max{I}"}),
            Panel("Largest range", "bytes", {"{{instance}}": f"nunatak_range_bytes_max{I}"}),
            Panel("Timestamps asked for by themselves", "ops", {"{{instance}}": rate("nunatak_timestamps_total")}),
        ],
        "Ranges": [
            Panel("Replicas asleep", "none", {
                "{{instance}}": f"nunatak_groups_asleep{I}",
                "closed at {{instance}}": f"nunatak_groups_closed{I}"}),
            Panel("Fallen asleep, woken", "ops", {
                "asleep at {{instance}}": rate("nunatak_groups_slept_total"),
                "woken at {{instance}}": rate("nunatak_groups_woken_total")}),
        ],
        "Disks": [
            Panel("Room", "bytes", {"{{instance}}": f"nunatak_disk_available_bytes{I}"}),
            Panel("Written", "Bps", {"{{instance}}": rate("nunatak_disk_written_bytes_total")}),
            Panel("Syncs", "ops", {"{{instance}}": rate("nunatak_disk_syncs_total")}),
            Panel("Syncs by log", "ops", {"{{log}}": rate("lsm_log_syncs_total", "log")}),
            Panel("Time of syncs, 99 %", "s", {"{{instance}}": percentile(0.99, "lsm_log_sync_seconds", "instance")}),
        ],
        "Replication": [
            Panel("Time of proposals", "s", {
                "half": percentile(0.5, "nunatak_raft_proposal_seconds"),
                "99 %": percentile(0.99, "nunatak_raft_proposal_seconds")}),
            Panel("Messages answered", "ops", {"{{instance}}": rate("nunatak_raft_messages_total")}),
        ],
        "Storage engine": [
            Panel("Bytes by level", "bytes", {"{{keyspace}} {{level}}": f"sum by (keyspace, level) (lsm_level_bytes{I})"}),
            Panel("Tables by level", "none", {"{{keyspace}} {{level}}": f"sum by (keyspace, level) (lsm_level_tables{I})"}),
            Panel("Sorted runs", "none", {"{{instance}} {{keyspace}}": f"lsm_keyspace_runs{I}"}),
            Panel("Written by level", "Bps", {"{{level}}": rate("lsm_level_written_bytes_total", "level")}),
            Panel("Flushed and compacted", "Bps", {
                "flushed at {{instance}}": rate("lsm_flush_bytes_total"),
                "compacted at {{instance}}": rate("lsm_compaction_bytes_total")}),
            Panel("Flushes, compactions", "ops", {
                "flushes at {{instance}}": rate("lsm_flushes_total"),
                "compactions at {{instance}}": rate("lsm_compactions_total")}),
            Panel("Time of flushes and compactions, 99 %", "s", {
                "flushes": percentile(0.99, "lsm_flush_seconds"), "compactions": percentile(0.99, "lsm_compaction_seconds")}),
            Panel("Time that writers were delayed, by second", "s", {
                "{{instance}}": f"sum by (instance) (rate(lsm_write_delay_us_total{I}{W})) / 1e6 or on (instance) 0 * up{I}"}),
            Panel("Compactions that failed, 1 h", "none", {"": happened("lsm_compaction_failures_total", "1h")}, "stat"),
        ],
    }),
}


def text(value):
    return json.dumps(value, ensure_ascii=False)


def rules():
    lines = ["# Made by deploy/monitoring/source.py.", "groups:", "  - name: nunatak-recorded", "    rules:"]
    for name, expression in RECORDED.items():
        lines += [f"      - record: {name}", f"        expr: {text(expression)}"]
    lines += ["  - name: nunatak-alerts", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {text(f'({alert.expression}) {alert.comparison}')}",
            f"        for: {alert.lasting}",
            f"        labels: {{ severity: {alert.severity} }}",
            "        annotations:",
            f"          summary: {text(alert.summary)}",
            f"          action: {text(alert.action)}",
        ]
    return "\n".join(lines) + "\n"


SOURCE = {"type": "prometheus", "uid": "${source}"}


def panel(number, place, drawn):
    field = {"unit": drawn.unit, "min": 0}
    if drawn.kind == "timeseries":
        field["custom"] = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    options = {
        "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none"},
        "heatmap": {"calculate": False, "yAxis": {"unit": "s"}},
    }[drawn.kind]
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend or "__auto",
         "format": "heatmap" if drawn.kind == "heatmap" else "time_series"}
        for index, (legend, expression) in enumerate(drawn.queries.items())
    ]
    return {"id": number, "type": drawn.kind, "title": drawn.title, "gridPos": place, "datasource": SOURCE,
            "fieldConfig": {"defaults": field, "overrides": []}, "options": options, "targets": targets}


def dashboard(name, title, rows):
    panels, number, top = [], 0, 0
    for row, drawn in rows.items():
        number += 1
        panels.append({"id": number, "type": "row", "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}})
        top += 1
        small = all(one.kind == "stat" for one in drawn)
        width, height = (4, 4) if small else (12, 8)
        across = 24 // width
        for index, one in enumerate(drawn):
            number += 1
            place = {"x": index % across * width, "y": top + index // across * height, "w": width, "h": height}
            panels.append(panel(number, place, one))
        top += -(-len(drawn) // across) * height
    variables = [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {"name": "instance", "label": "Process", "type": "query", "datasource": SOURCE, "includeAll": True, "multi": True,
         "allValue": ".+", "current": {"text": "All", "value": "$__all"}, "refresh": 2, "sort": 1,
         "query": {"query": 'label_values(up{job="nunatak"}, instance)', "refId": "instance"}},
    ]
    return {"uid": f"nunatak-{name}", "title": title, "tags": ["nunatak"], "schemaVersion": 39, "version": 1, "editable": True,
            "timezone": "browser", "refresh": "10s", "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": variables}, "annotations": {"list": []},
            "links": [{"type": "dashboards", "title": "Nunatak", "tags": ["nunatak"], "asDropdown": True, "keepTime": True}],
            "panels": panels}


def files():
    made = {HERE / "prometheus/rules.yml": rules(), CHART_RULES: rules()}
    for name, (title, rows) in DASHBOARDS.items():
        made[HERE / f"grafana/dashboards/{name}.json"] = json.dumps(dashboard(name, title, rows), indent=1) + "\n"
    return made


def expressions():
    """Every expression with where it stands; those of alerts without their bounds."""
    for name, expression in RECORDED.items():
        yield f"recorded {name}", expression
    for alert in ALERTS:
        yield f"alert {alert.name}", alert.expression
    for name, (_, rows) in DASHBOARDS.items():
        for row, drawn in rows.items():
            for one in drawn:
                for legend, expression in one.queries.items():
                    yield f"dashboard {name}: {row}: {one.title}: {legend}", expression


def main():
    stale = []
    for path, content in files().items():
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != content:
                stale.append(str(path))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    if stale:
        sys.exit("not what deploy/monitoring/source.py says, run it: " + " ".join(stale))


if __name__ == "__main__":
    main()
