#!/bin/sh
# Runs the test binaries of this bundle by a POSIX shell and its usual tools (awk, cat, date, dirname,
# env, kill, mkdir, rm, sleep, tr). `run`, beside it, does the same without a shell. Made by linkwright.
set -u

usage() {
  cat <<'TEXT'
Usage: run.sh [FLAGS]
  --filter REGEX     run only the tests that match REGEX, as go test -run has it
  --shard I/N        run the I-th of N parts of the test binaries
  --timeout SECONDS  give each binary this long, whatever its target says
  --junit FILE       write the results to FILE as JUnit XML
  --list             tell what would be run, and run nothing
Ends with 0 if all passed, 3 if one did not, 4 if there was nothing to run.
TEXT
}

wrong() {
  echo "run.sh: $1" >&2
  exit 2
}

is_number() {
  case $1 in
    '' | *[!0-9]* | ?????????*) return 1 ;;
  esac
}

filter='' has_filter='' index=1 count=1 limit='' junit='' list=''
while [ $# -gt 0 ]; do
  flag=${1%%=*}
  case $1 in
    -h | -help | --help)
      usage
      exit 0
      ;;
    --list | -list)
      list=yes
      shift
      continue
      ;;
    --*=* | -*=*)
      value=${1#*=}
      shift
      ;;
    *)
      [ $# -ge 2 ] || wrong "\`$1\` is no flag, or lacks its value"
      value=$2
      shift 2
      ;;
  esac
  case $flag in
    --filter | -filter) filter=$value has_filter=yes ;;
    --shard | -shard) index=${value%%/*} count=${value#*/} ;;
    --timeout | -timeout) limit=$value ;;
    --junit | -junit) junit=$value ;;
    *) wrong "\`$flag\` is no flag" ;;
  esac
done
if ! { is_number "$index" && is_number "$count" && [ "$index" -ge 1 ] && [ "$index" -le "$count" ]; }; then
  wrong "\`$index/$count\` is no part of all parts, as 1/4 is"
fi
[ -z "$limit" ] || is_number "$limit" || wrong "\`$limit\` is no number of seconds"

bundle=$(cd "$(dirname "$0")" && pwd -P) || exit 36
case $bundle in
  *=*)
    echo "run.sh: env takes a path with = in it for a variable: $bundle" >&2
    exit 36
    ;;
esac
work=${TMPDIR:-/tmp}/bundle-$$
mkdir -p "${TMPDIR:-/tmp}" && mkdir "$work" || exit 36
pid='' dog=''

end_all() {
  for it in $pid $dog; do
    kill -KILL "$it" 2>/dev/null
  done
  rm -rf "$work"
}
trap 'end_all; trap - EXIT; exit 8' INT TERM HUP
trap 'rm -rf "$work"' EXIT

# Reads what a binary printed, and writes its part of the JUnit document to $work/suites, its verdict
# to $work/verdict. The package testing begins each line of its own with the byte 026.
judge() {
  LC_ALL=C tr -c '\011\012\026\040-\176' '?' <"$work/out" |
    LC_ALL=C awk -v package="$package" -v label="$label" -v code="$code" -v late="$late" \
      -v seconds="$seconds" -v took="$took" -v suites="$work/suites" -v verdict="$work/verdict" '
function escaped(text) {
  gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
  gsub(/"/, "\\&quot;", text)
  return text
}
function element(name, message, text) {
  return ">\n      <" name " message=\"" escaped(message) "\">" escaped(text) "</" name ">\n    </testcase>\n"
}
function add(name, time, how, text) {
  total++
  cases = cases "    <testcase name=\"" escaped(name) "\" classname=\"" escaped(package) "\" time=\"" time "\""
  if (how == "PASS:" || how == "BENCH:") cases = cases "/>\n"
  else if (how == "SKIP:") { skips++; cases = cases element("skipped", "skipped", text) }
  else if (how == "FAIL:") { fails++; cases = cases element("failure", "failed", text) }
  else { errors++; cases = cases element("error", how, text) }
}
{
  pieces = split($0, piece, "\026")
  for (i = 1; i <= pieces; i++) {
    if (piece[i] == "" && pieces > 1) continue
    line = piece[i]
    if (panic == "" && line ~ /^(panic: |fatal error: |SIGQUIT: )/) panic = line
    words = i > 1 ? split(line, word, " ") : 0
    if (words == 1 && word[1] == "PASS") { said = 1; current = "" }
    else if (words >= 1 && word[1] == "FAIL") { bad = 1; current = "" }
    else if (words >= 3 && word[1] == "===") {
      current = word[3]
      if (word[2] == "RUN") { began++; open[current] = 1; text[current] = "" }
    } else if (words >= 3 && word[1] == "---") {
      name = word[3]; time = words > 3 ? word[4] : "0"
      gsub(/[(s)]/, "", time)
      if (!(name in open)) odd = "`" name "` ended and had not begun"
      if (word[2] == "FAIL:") bad = 1
      add(name, time, word[2], text[name]); delete open[name]; delete text[name]
      current = ""; continue
    }
    if (current in open && length(text[current]) < 65536) text[current] = text[current] line "\n"
  }
}
END {
  for (name in open) { unfinished = name; add(name, "0", "did not end", text[name]) }
  outcome = "passed"; reason = ""
  if (late == "yes") { outcome = "timed out"; reason = "it did not end within " seconds " s and was stopped" }
  else if (code > 128) { outcome = "crashed"; reason = "signal " (code - 128) " ended it" }
  else if (code == 2 && panic ~ /test timed out after/) { outcome = "timed out"; reason = panic }
  else if (code == 2 && panic != "") { outcome = "crashed"; reason = panic }
  else if (code != 0) { outcome = "failed"; if (code != 1 || !bad) reason = "it ended with code " code }
  else if (bad) { outcome = "failed"; reason = "it ended with code 0, though a test said that it failed" }
  else if (odd != "") { outcome = "broken"; reason = odd }
  else if (unfinished != "") { outcome = "broken"; reason = "it ended with code 0, and `" unfinished "` had begun and not ended" }
  else if (began == 0) outcome = "no tests"
  else if (!said) { outcome = "broken"; reason = "it ended with code 0 and did not say PASS" }
  if (reason != "") {
    total++; errors++
    cases = cases "    <testcase name=\"(binary)\" classname=\"" escaped(package) "\" time=\"0.000\"" element("error", reason, "")
  }
  printf "  <testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\" time=\"%d\">\n    <properties>\n      <property name=\"label\" value=\"%s\"/>\n    </properties>\n%s  </testsuite>\n", escaped(package), total, fails, errors, skips, took, escaped(label), cases >>suites
  printf "%s\n%s\n", outcome, reason >verdict
}'
}

number=0 passed=0 failed=0 none=0

# binary LABEL PACKAGE FILE FOLDER SECONDS VARIABLES ARGUMENTS…
binary() {
  number=$((number + 1))
  [ $(((number - 1) % count + 1)) -eq "$index" ] || return 0
  label=$1 package=$2 file=$3 folder=$4 seconds=${limit:-$5} pass=$6
  shift 6
  if [ -n "$list" ]; then
    printf '%s\t%s\n' "$label" "$package"
    return 0
  fi
  rm -rf "$work/home" "$work/tmp" "$work/late" "$work/verdict"
  mkdir "$work/home" "$work/tmp" || exit 36
  [ -z "$has_filter" ] || set -- "-test.run=$filter" "$@"
  set -- "$bundle/$file" -test.paniconexit0 "-test.timeout=${seconds}s" -test.v=test2json "$@"
  set -- "TMPDIR=$work/tmp" "PWD=$bundle/$folder" "$@"
  for name in $pass TZ LANG LOGNAME USER PATH; do
    eval "value=\${$name-} known=\${$name+yes}"
    # shellcheck disable=SC2154  # Set by eval.
    [ -z "$known" ] || set -- "$name=$value" "$@"
  done
  set -- "HOME=$work/home" "$@"
  began=$(date +%s)
  (cd "$bundle/$folder" && exec env -i "$@") </dev/null >"$work/out" 2>&1 &
  pid=$!
  (
    left=$((seconds + seconds / 20 + 2))
    while [ "$left" -gt 0 ]; do
      sleep 1
      left=$((left - 1))
    done
    : >"$work/late"
    # The program says what its goroutines do.
    kill -QUIT "$pid"
    sleep 3
    kill -KILL "$pid"
  ) </dev/null >/dev/null 2>&1 &
  dog=$!
  wait "$pid"
  code=$?
  # Any other signal would be lost on a watchdog that has just begun, with our own traps still set.
  kill -KILL "$dog" 2>/dev/null
  wait "$dog" 2>/dev/null
  pid='' dog='' late=''
  [ ! -e "$work/late" ] || late=yes
  took=$(($(date +%s) - began))
  judge || exit 36
  {
    read -r outcome
    read -r reason
  } <"$work/verdict"
  printf '%-9s  %4d s  %s (%s)\n' "$outcome" "$took" "$package" "$label"
  case $outcome in
    passed) passed=$((passed + 1)) ;;
    'no tests') none=$((none + 1)) ;;
    *)
      failed=$((failed + 1))
      [ -z "$reason" ] || printf '    %s\n' "$reason"
      tr -d '\026' <"$work/out"
      ;;
  esac
}

: >"$work/suites"
@TESTS@
[ -z "$list" ] || exit 0
if [ -n "$junit" ]; then
  {
    printf '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    cat "$work/suites"
    printf '</testsuites>\n'
  } >"$junit" || exit 36
fi
echo "$((passed + failed + none)) test binaries: $passed passed, $failed failed, $none without tests"
[ "$failed" -eq 0 ] || exit 3
if [ "$passed" -eq 0 ]; then
  echo "run.sh: there are no tests to run" >&2
  exit 4
fi
