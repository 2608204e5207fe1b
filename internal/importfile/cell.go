package importfile

import (
	"strings"
	"unicode/utf8"
)

// formulaStarts are the characters with which a cell becomes a formula. An account may be a
// name that its owner chose, and a formula in a file that an operator opens can send the
// file's content away.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// ToCell writes a text so that spreadsheets don't treat it as a formula: with an apostrophe
// before it. The form csv removes the apostrophe again.
func ToCell(text string) string {
	if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, "'")); strings.ContainsRune(formulaStarts, first) {
		return "'" + text
	}
	return text
}

// fromCell reverses [ToCell].
func fromCell(cell string) string {
	if text, ok := strings.CutPrefix(cell, "'"); ok && ToCell(text) == cell {
		return text
	}
	return cell
}
