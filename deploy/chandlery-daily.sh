#!/bin/sh
# A daily run of chandlery: bring the lake up to date, check that the day is in it, write the report.
# Exits with the code of the command that failed; a run for a day that is already in the lake changes nothing.
#
#   chandlery-daily.sh CONFIG REPORT [UNTIL]
#
# CONFIG is the path of chandlery.toml, REPORT the page to write, UNTIL the UTC day whose beginning the candles must
# reach, by default today. The program is $CHANDLERY, or `chandlery` on the PATH.
set -eu
config=$1 report=$2 until=${3:-$(date -u +%F)}
program=${CHANDLERY:-chandlery}
case $config in /*) ;; *) config=$PWD/$config ;; esac
case $report in /* | *://*) ;; *) report=$PWD/$report ;; esac
cd "$(dirname "$config")"
"$program" run --config "$config"
"$program" check --config "$config" --until "$until"
"$program" report --config "$config" --output "$report"
