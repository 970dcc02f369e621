package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// checkRow is one check of upstream's table, in message order.
type checkRow struct {
	ID       string    `json:"id"`
	Level    string    `json:"level"`
	Versions []stepRow `json:"versions"`
}

// stepRow says from which version on a revision of a check is in force.
type stepRow struct {
	From      string   `json:"from"`
	Overrides []string `json:"overrides"`
}

func checkRows() ([]checkRow, error) {
	r, err := newRegistry()
	if err != nil {
		return nil, err
	}
	var rows []checkRow
	for _, c := range r.checks {
		row := checkRow{ID: string(c.ID), Level: string(c.Level)}
		for _, step := range c.Versions {
			s := stepRow{From: step.MinimumVersion.String(), Overrides: []string{}}
			for _, id := range step.OverrideCheckIDs {
				s.Overrides = append(s.Overrides, string(id))
			}
			row.Versions = append(row.Versions, s)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func printChecks(w io.Writer) error {
	rows, err := checkRows()
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(rows)
}

// printParity writes the table as Markdown, a row per check and step.
func printParity(w io.Writer) error {
	rows, err := checkRows()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(w, "| level | check | from | overrides |\n|---|---|---|---|\n"); err != nil {
		return err
	}
	for _, row := range rows {
		for _, step := range row.Versions {
			_, err := fmt.Fprintf(w, "| %s | %s | %s | %s |\n",
				row.Level, row.ID, step.From, strings.Join(step.Overrides, ", "))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// printPrintable writes the ranges of characters that Go's %q leaves as they
// are, as pairs of first and last code point. AppArmor and seccomp annotations
// and bad label values are quoted that way in messages.
func printPrintable(w io.Writer) error {
	ranges := [][2]rune{}
	for r := rune(0); r <= 0x10ffff; r++ {
		if !strconv.IsPrint(r) {
			continue
		}
		if n := len(ranges); n > 0 && ranges[n-1][1] == r-1 {
			ranges[n-1][1] = r
		} else {
			ranges = append(ranges, [2]rune{r, r})
		}
	}
	return json.NewEncoder(w).Encode(ranges)
}
