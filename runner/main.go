// Command run runs the test binaries of a bundle, where neither Go nor linkwright nor a shell is.
//
// It stands in the bundle beside index.json, which says what there is to run. Whatever it needs of
// the machine is a folder for temporary files: no /proc, no /dev, no other program.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	exitUsage       = 2
	exitFailed      = 3
	exitNoTests     = 4
	exitInterrupted = 8
	exitMachine     = 36
)

// Of the output of a binary at most this much is kept at each end.
const keptAtEachEnd = 256 << 10

type index struct {
	Format string `json:"format"`
	Name   string `json:"name"`
	Tests  []test `json:"tests"`
}

type test struct {
	Label     string   `json:"label"`
	GoPackage string   `json:"go_package"`
	Binary    string   `json:"binary"`
	Folder    string   `json:"folder"`
	Seconds   int      `json:"timeout_seconds"`
	Args      []string `json:"args"`
	PassEnv   []string `json:"pass_env"`
}

type options struct {
	filter   string
	index    int
	count    int
	seconds  int
	junit    string
	list     bool
	filtered bool
}

// One test function, or a part of one that has a name.
type testCase struct {
	name    string
	outcome string
	seconds string
	output  string
}

type result struct {
	test    test
	outcome string
	reason  string
	seconds float64
	cases   []testCase
	output  string
}

func main() {
	options := read()
	bundle, err := folder()
	fail(err)
	text, err := os.ReadFile(filepath.Join(bundle, "index.json"))
	fail(err)
	var all index
	fail(json.Unmarshal(text, &all))
	if all.Format != "linkwright-bundle/1" {
		fail(fmt.Errorf("index.json is of the format %q, which this runner does not know", all.Format))
	}
	var chosen []test
	for i, it := range all.Tests {
		if i%options.count+1 == options.index {
			chosen = append(chosen, it)
		}
	}
	if options.list {
		for _, it := range chosen {
			fmt.Printf("%s\t%s\n", it.Label, it.GoPackage)
		}
		return
	}
	os.Exit(run(bundle, chosen, options))
}

func read() options {
	var it options
	var shard string
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&it.filter, "filter", "", "run only the tests that match `REGEX`, as go test -run has it")
	flags.StringVar(&shard, "shard", "1/1", "run the I-th of N parts of the test binaries, as `I/N`")
	flags.IntVar(&it.seconds, "timeout", 0, "give each binary so many `SECONDS`, whatever its target says")
	flags.StringVar(&it.junit, "junit", "", "write the results to `FILE` as JUnit XML")
	flags.BoolVar(&it.list, "list", false, "tell what would be run, and run nothing")
	err := flags.Parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	flags.Visit(func(flag *flag.Flag) { it.filtered = it.filtered || flag.Name == "filter" })
	first, second, _ := strings.Cut(shard, "/")
	var errIndex, errCount error
	it.index, errIndex = strconv.Atoi(first)
	it.count, errCount = strconv.Atoi(second)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("%q is no flag", flags.Arg(0))
	case errIndex != nil || errCount != nil || it.index < 1 || it.index > it.count:
		err = fmt.Errorf("%q is no part of all parts, as 1/4 is", shard)
	case it.seconds < 0:
		err = errors.New("no test ends before it begins")
	default:
		return it
	}
	fmt.Fprintln(os.Stderr, "run:", err)
	os.Exit(exitUsage)
	return it
}

// The folder of this program: by its own name first, since there may be no /proc.
func folder() (string, error) {
	places := []string{filepath.Dir(os.Args[0])}
	if program, err := os.Executable(); err == nil {
		places = append(places, filepath.Dir(program))
	}
	for _, it := range places {
		if _, err := os.Stat(filepath.Join(it, "index.json")); err == nil {
			return filepath.Abs(it)
		}
	}
	return "", errors.New("there is no index.json beside this program: start it by its path")
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(exitMachine)
	}
}

func run(bundle string, tests []test, options options) int {
	temporary := os.TempDir()
	fail(os.MkdirAll(temporary, 0o777))
	work, err := os.MkdirTemp(temporary, "bundle-")
	fail(err)
	defer os.RemoveAll(work)
	// What a test leaves behind becomes a child of this process, whoever was its parent.
	const prSetChildSubreaper = 36
	syscall.Syscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	var results []result
	counts := map[string]int{}
	for _, it := range tests {
		result, interrupted := one(bundle, work, it, options, stop)
		if interrupted {
			return exitInterrupted
		}
		results = append(results, result)
		counts[result.outcome]++
		tell(result)
	}
	passed, none := counts["passed"], counts["no tests"]
	failed := len(results) - passed - none
	fmt.Printf("%d test binaries: %d passed, %d failed, %d without tests\n", len(results), passed, failed, none)
	if options.junit != "" {
		fail(os.WriteFile(options.junit, junit(results), 0o644))
	}
	switch {
	case failed > 0:
		return exitFailed
	case passed == 0:
		fmt.Fprintln(os.Stderr, "run: there are no tests to run")
		return exitNoTests
	}
	return 0
}

func tell(it result) {
	fmt.Printf("%-9s  %7.2f s  %s (%s)\n", it.outcome, it.seconds, it.test.GoPackage, it.test.Label)
	if it.outcome == "passed" || it.outcome == "no tests" {
		return
	}
	if it.reason != "" {
		fmt.Println("   ", it.reason)
	}
	for _, line := range strings.Split(strings.TrimSuffix(it.output, "\n"), "\n") {
		fmt.Println("   ", line)
	}
}

// What a binary is given to see, as under linkwright test.
func environment(it test, home, tmp, folder string) []string {
	env := []string{"HOME=" + home}
	for _, name := range append([]string{"PATH", "USER", "LOGNAME", "LANG", "TZ"}, it.PassEnv...) {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, "TMPDIR="+tmp, "PWD="+folder)
}

func one(bundle, work string, it test, options options, stop chan os.Signal) (result, bool) {
	scratch, err := os.MkdirTemp(work, "")
	fail(err)
	defer os.RemoveAll(scratch)
	home, tmp := filepath.Join(scratch, "home"), filepath.Join(scratch, "tmp")
	fail(os.Mkdir(home, 0o777))
	fail(os.Mkdir(tmp, 0o777))
	seconds := it.Seconds
	if options.seconds > 0 {
		seconds = options.seconds
	}
	args := []string{"-test.paniconexit0", fmt.Sprintf("-test.timeout=%ds", seconds), "-test.v=test2json"}
	if options.filtered {
		args = append(args, "-test.run="+options.filter)
	}
	command := exec.Command(filepath.Join(bundle, it.Binary), append(args, it.Args...)...)
	command.Dir = filepath.Join(bundle, it.Folder)
	command.Env = environment(it, home, tmp, command.Dir)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Not /dev/null, which may not be there: a pipe that nobody writes to.
	in, closed, err := os.Pipe()
	fail(err)
	fail(closed.Close())
	out, writer, err := os.Pipe()
	fail(err)
	command.Stdin, command.Stdout, command.Stderr = in, writer, writer
	began := time.Now()
	err = command.Start()
	in.Close()
	writer.Close()
	if err != nil {
		return result{test: it, outcome: "not run", reason: err.Error()}, false
	}
	kept := make(chan capture, 1)
	go func() {
		var all capture
		buffer := make([]byte, 64<<10)
		for {
			n, err := out.Read(buffer)
			all.add(buffer[:n])
			if err != nil {
				kept <- all
				return
			}
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	late, interrupted := watch(command.Process.Pid, seconds, ended, stop)
	sweep(command.Process.Pid)
	out.SetReadDeadline(time.Now().Add(2 * time.Second))
	all := <-kept
	out.Close()
	made := judge(it, all, command.ProcessState, late, seconds)
	made.seconds = time.Since(began).Seconds()
	return made, interrupted
}

// Waits for the end of a binary. One whose time is over is asked by SIGQUIT what it does, and then
// ended with all of its group.
func watch(pid, seconds int, ended chan error, stop chan os.Signal) (late, interrupted bool) {
	limit := time.After(time.Duration(seconds+seconds/20+2) * time.Second)
	var kill <-chan time.Time
	for {
		select {
		case <-ended:
			return late, interrupted
		case <-stop:
			interrupted = true
			syscall.Kill(-pid, syscall.SIGKILL)
		case <-limit:
			late = true
			syscall.Kill(pid, syscall.SIGQUIT)
			kill = time.After(3 * time.Second)
		case <-kill:
			syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// Ends what a binary has left behind: its group, and whoever has become a child of this process.
func sweep(pid int) {
	syscall.Kill(-pid, syscall.SIGKILL)
	until := time.Now().Add(5 * time.Second)
	for time.Now().Before(until) {
		child, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return
		}
		if child == 0 {
			for _, it := range children() {
				syscall.Kill(it, syscall.SIGKILL)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// The children of this process, where there is a /proc to tell them.
func children() (found []int) {
	own := strconv.Itoa(os.Getpid())
	entries, _ := os.ReadDir("/proc")
	for _, it := range entries {
		pid, err := strconv.Atoi(it.Name())
		if err != nil {
			continue
		}
		stat, _ := os.ReadFile("/proc/" + it.Name() + "/stat")
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 && fields[1] == own {
			found = append(found, pid)
		}
	}
	return found
}

// The first and the last part of what was printed.
type capture struct {
	head, tail []byte
	dropped    int
}

func (it *capture) add(more []byte) {
	room := keptAtEachEnd - len(it.head)
	if room > len(more) {
		room = len(more)
	}
	it.head = append(it.head, more[:room]...)
	it.tail = append(it.tail, more[room:]...)
	if over := len(it.tail) - keptAtEachEnd; over > keptAtEachEnd {
		it.tail = append([]byte(nil), it.tail[over:]...)
		it.dropped += over
	}
}

func (it *capture) bytes() []byte {
	if it.dropped == 0 {
		return append(it.head, it.tail...)
	}
	note := fmt.Sprintf("\n... %d bytes are left out ...\n", it.dropped)
	return append(append(it.head, note...), it.tail...)
}

// The byte before each line that the package testing itself prints.
const marker = 0x16

// The lines of a text; a marker begins one, too.
func lines(text string) (lines []string) {
	for _, line := range strings.SplitAfter(text, "\n") {
		for i, piece := range strings.Split(line, "\x16") {
			if i > 0 {
				piece = "\x16" + piece
			}
			if piece != "" {
				lines = append(lines, piece)
			}
		}
	}
	return lines
}

// Reads what a binary printed, and says what its run amounts to. Where something is left out, a
// test may seem not to have begun or ended; then the exit code alone counts.
func judge(it test, all capture, state *os.ProcessState, late bool, seconds int) result {
	made := result{test: it}
	open := map[string]*strings.Builder{}
	began, verdict, odd, failed, panics := 0, false, "", false, ""
	current := ""
	var plain strings.Builder
	text := strings.ToValidUTF8(string(all.bytes()), "\uFFFD")
	for _, line := range lines(text) {
		framed := line[0] == marker
		line = strings.TrimPrefix(line, "\x16")
		words := strings.Fields(line)
		plain.WriteString(line)
		if panics == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIGQUIT: ")) {
			panics = strings.TrimSpace(line)
		}
		switch {
		case !framed || len(words) == 0:
		case words[0] == "PASS":
			verdict = true
			current = ""
		case words[0] == "FAIL":
			failed, current = true, ""
		case words[0] == "===" && len(words) > 2:
			current = words[2]
			if words[1] == "RUN" {
				began++
				open[current] = &strings.Builder{}
			}
		case words[0] == "---" && len(words) > 2:
			name := words[2]
			output, known := open[name]
			if !known && all.dropped == 0 {
				odd = fmt.Sprintf("`%s` ended and had not begun", name)
			}
			delete(open, name)
			made.add(name, strings.TrimSuffix(words[1], ":"), words, output)
			failed = failed || words[1] == "FAIL:"
			current = ""
			continue
		}
		if output := open[current]; output != nil {
			output.WriteString(line)
		}
	}
	unfinished := ""
	for name, output := range open {
		if all.dropped == 0 {
			made.cases = append(made.cases, testCase{name, "unfinished", "0.00", output.String()})
			unfinished = name
		}
	}
	made.output = plain.String()
	status, _ := state.Sys().(syscall.WaitStatus)
	code := state.ExitCode()
	switch {
	case late:
		made.outcome, made.reason = "timed out", fmt.Sprintf("it did not end within %d s and was stopped", seconds)
	case status.Signaled():
		made.outcome, made.reason = "crashed", fmt.Sprintf("signal %d ended it", status.Signal())
	case code == 2 && strings.Contains(panics, "test timed out after"):
		made.outcome, made.reason = "timed out", panics
	case code == 2 && panics != "":
		made.outcome, made.reason = "crashed", panics
	case code != 0:
		made.outcome = "failed"
		if !failed || code != 1 {
			made.reason = fmt.Sprintf("it ended with code %d", code)
		}
	case failed:
		made.outcome, made.reason = "failed", "it ended with code 0, though a test said that it failed"
	case odd != "":
		made.outcome, made.reason = "broken", odd
	case unfinished != "":
		made.outcome, made.reason = "broken", fmt.Sprintf("it ended with code 0, and `%s` had begun and not ended", unfinished)
	case began == 0 && all.dropped == 0:
		made.outcome = "no tests"
	case !verdict:
		made.outcome, made.reason = "broken", "it ended with code 0 and did not say PASS"
	default:
		made.outcome = "passed"
	}
	return made
}

func (it *result) add(name, word string, words []string, output *strings.Builder) {
	one := testCase{name: name, seconds: "0.00"}
	if len(words) > 3 {
		one.seconds = strings.TrimSuffix(strings.TrimPrefix(words[3], "("), "s)")
	}
	switch word {
	case "FAIL":
		one.outcome = "failed"
	case "SKIP":
		one.outcome = "skipped"
	default:
		one.outcome = "passed"
	}
	if output != nil && one.outcome != "passed" {
		one.output = output.String()
	}
	it.cases = append(it.cases, one)
}

// The document, as linkwright test writes it.
func junit(results []result) []byte {
	var out bytes.Buffer
	out.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n")
	for _, it := range results {
		counts := map[string]int{}
		for _, one := range it.cases {
			counts[one.outcome]++
		}
		whole := it.reason != ""
		if whole {
			counts["unfinished"]++
		}
		total := len(it.cases)
		if whole {
			total++
		}
		fmt.Fprintf(&out, "  <testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\" time=\"%.3f\">\n",
			escaped(it.test.GoPackage), total, counts["failed"], counts["unfinished"], counts["skipped"], it.seconds)
		fmt.Fprintf(&out, "    <properties>\n      <property name=\"label\" value=\"%s\"/>\n    </properties>\n", escaped(it.test.Label))
		for _, one := range it.cases {
			fmt.Fprintf(&out, "    <testcase name=\"%s\" classname=\"%s\" time=\"%s\"", escaped(one.name), escaped(it.test.GoPackage), escaped(one.seconds))
			switch one.outcome {
			case "passed":
				out.WriteString("/>\n")
			case "failed":
				element(&out, "failure", "failed", one.output)
			case "skipped":
				element(&out, "skipped", "skipped", one.output)
			default:
				element(&out, "error", "did not end", one.output)
			}
		}
		if whole {
			fmt.Fprintf(&out, "    <testcase name=\"(binary)\" classname=\"%s\" time=\"0.000\"", escaped(it.test.GoPackage))
			element(&out, "error", it.reason, it.output)
		}
		out.WriteString("  </testsuite>\n")
	}
	out.WriteString("</testsuites>\n")
	return out.Bytes()
}

func element(out *bytes.Buffer, name, message, text string) {
	fmt.Fprintf(out, ">\n      <%s message=\"%s\">%s</%s>\n    </testcase>\n", name, escaped(message), escaped(text), name)
}

// What XML 1.0 cannot hold is replaced.
func escaped(text string) string {
	var out strings.Builder
	for _, it := range text {
		switch {
		case it == '&':
			out.WriteString("&amp;")
		case it == '<':
			out.WriteString("&lt;")
		case it == '>':
			out.WriteString("&gt;")
		case it == '"':
			out.WriteString("&quot;")
		case it < 0x20 && it != '\t' && it != '\n' && it != '\r', it == 0xfffe, it == 0xffff:
			out.WriteRune(utf8.RuneError)
		default:
			out.WriteRune(it)
		}
	}
	return out.String()
}
