// Command convert converts a length or a time, and signs its answer with a sum:
//
//	convert 3 mi km
package main

import (
	"fmt"
	"os"
	"strconv"

	"example.com/generated/crc"
	"example.com/generated/unit"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 3 {
		return fmt.Errorf("usage: convert VALUE FROM TO")
	}
	value, err := strconv.ParseFloat(arguments[0], 64)
	if err != nil {
		return err
	}
	converted, err := unit.Convert(value, arguments[1], arguments[2])
	if err != nil {
		return err
	}
	answer := fmt.Sprintf("%g %s = %g %s", value, arguments[1], converted, arguments[2])
	fmt.Printf("%s  [%08x]\n", answer, crc.Sum(answer))
	return nil
}
