// Package importfile reads another payment system's customers, row by row: CSV files, and
// tables of PostgreSQL as CSV. It holds no file in memory.
package importfile

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Limits of a file.
const (
	MaxRow  = 64 << 10  // bytes, about
	MaxRows = 5_000_000 // of which the ids are remembered, see [Seen]
)

// ErrFile means that a file as a whole cannot be read.
var ErrFile = errors.New("the file cannot be read")

// RowError says why one row cannot be imported. Later rows can still be read.
type RowError struct {
	Line   int64
	Reason string
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Options say how to read a file.
type Options struct {
	Form Form
	// Plans maps the file's names of plans to the catalog's. Other plans have the same name in
	// both.
	Plans map[string]string
	// AccountColumn is the column with the account's id; empty for the form's own.
	AccountColumn string
	// Name is the file's name, for errors about rows of later files.
	Name string
	// Seen has the ids of the files before, and gets those of this one. Default: there is no
	// other file.
	Seen *Seen
}

// Reader reads the rows of one file.
type Reader struct {
	csv     *csv.Reader
	limiter *rowLimiter
	table   table
	plans   map[string]string
	column  map[string]int // by name
	rows    int
	seen    *Seen
	file    uint16 // its number in seen
}

// NewReader reads the header, which is required. Its errors wrap [ErrFile].
func NewReader(from io.Reader, o Options) (*Reader, error) {
	limit := &rowLimiter{from: from}
	limit.reset()
	buffered := bufio.NewReader(limit)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	r := &Reader{
		csv: csv.NewReader(buffered), limiter: limit, plans: o.Plans,
		column: make(map[string]int), seen: cmp.Or(o.Seen, NewSeen()),
	}
	r.file = r.seen.addFile(o.Name)
	header, err := r.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is empty; its first line must name the columns", ErrFile)
	}
	if err != nil {
		return nil, fileError(err)
	}
	for i, name := range header {
		if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
			return nil, fmt.Errorf("%w: line 1 is not UTF-8 text", ErrFile)
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := r.column[name]; twice {
			return nil, fmt.Errorf("%w: line 1 names the column %q twice", ErrFile, name)
		}
		r.column[name] = i
	}
	if r.table, err = o.Form.table(r.column, o.AccountColumn); err != nil {
		return nil, fmt.Errorf("%w: line 1: %w", ErrFile, err)
	}
	r.csv.ReuseRecord = true
	return r, nil
}

// Next reads a row. It returns [io.EOF] after the last one, a [*RowError] for a row that
// cannot be imported, and an error that wraps [ErrFile] if reading must stop.
func (r *Reader) Next() (gateway.ImportRow, error) {
	r.limiter.reset()
	cells, err := r.csv.Read()
	line := r.line(err)
	switch {
	case errors.Is(err, io.EOF):
		return gateway.ImportRow{}, io.EOF
	case errors.Is(err, csv.ErrFieldCount):
		return gateway.ImportRow{}, &RowError{line, fmt.Sprintf("%d columns, but the header names %d", len(cells), len(r.column))}
	case err != nil:
		return gateway.ImportRow{}, fileError(err)
	}
	if r.rows++; r.rows > MaxRows {
		return gateway.ImportRow{}, fmt.Errorf("%w: it has more than %d rows; split it", ErrFile, MaxRows)
	}
	for _, cell := range cells {
		if !utf8.ValidString(cell) || strings.ContainsRune(cell, 0) {
			return gateway.ImportRow{}, &RowError{line, "it is not UTF-8 text"}
		}
	}
	c := &tableRow{reader: r, cells: cells}
	row := r.table.read(c)
	row.Line = line
	if c.problem == "" {
		c.problem = r.seen.add(&row, r.file, r.table.accountRepeats)
	}
	if c.problem != "" {
		return gateway.ImportRow{}, &RowError{line, c.problem}
	}
	return row, nil
}

// line is the line on which the row begins.
func (r *Reader) line(err error) int64 {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return int64(parse.StartLine)
	}
	if err != nil {
		return 0
	}
	line, _ := r.csv.FieldPos(0)
	return int64(line)
}

func fileError(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%w: line %d is not CSV: %w", ErrFile, parse.StartLine, parse.Err)
	}
	return fmt.Errorf("%w: %w", ErrFile, err)
}

// rowLimiter returns no more bytes than a row may have, so that a row without an end does not
// fill the memory.
type rowLimiter struct {
	from io.Reader
	left int
}

const readAhead = 4096 // of the buffered reader above it

var errLongRow = fmt.Errorf("a row is longer than %d bytes, or a quote does not end", MaxRow)

func (l *rowLimiter) reset() { l.left = MaxRow + readAhead }

func (l *rowLimiter) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongRow
	}
	n, err := l.from.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}
