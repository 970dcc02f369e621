// The oracle prints upstream's answers, so that tidegate's can be compared with
// them: see README.md for the lines it writes.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: oracle COMMAND [flags]

  pods      -seed S -count N [-per K] [-stats]   generated pods with verdicts
  requests  -seed S -count N                     generated requests with responses
  checks                                         upstream's table of checks as JSON
  parity    [-o FILE]                            the same as Markdown
  fixtures                                       upstream's fixture files as JSON
  config    FILE...                              reads PodSecurityConfiguration files
  printable                                      characters that Go's %%q leaves alone
  freeze    [-dir frozen]                        writes the frozen data anew
`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("no command\n" + fmt.Sprintf(usage))
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		_, err := fmt.Fprintf(stdout, usage)
		return err
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "the same seed gives the same lines")
	count := flags.Uint64("count", 1000, "how many lines")
	per := flags.Int("per", 4, "verdicts a pod")
	tally := flags.Bool("stats", false, "print how often each check failed instead")
	output := flags.String("o", "", "file to write instead of standard output")
	dir := flags.String("dir", "frozen", "folder of the frozen data")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	write := func(w io.Writer) error {
		switch args[0] {
		case "pods":
			return printPods(w, *seed, *count, *per, *tally)
		case "requests":
			return printRequests(w, *seed, *count)
		case "checks":
			return printChecks(w)
		case "parity":
			return printParity(w)
		case "fixtures":
			return printFixtures(w)
		case "config":
			return printConfigs(w, flags.Args())
		case "printable":
			return printPrintable(w)
		case "freeze":
			return freeze(*dir)
		default:
			return fmt.Errorf("unknown command %q\n"+usage, args[0])
		}
	}
	if *output != "" {
		return toFile(*output, write)
	}
	return buffered(stdout, write)
}

func buffered(to io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(to, 1<<20)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

func toFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := buffered(file, write); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}
