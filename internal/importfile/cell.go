package importfile

import (
	"strings"
	"unicode/utf8"
)

// What a spreadsheet takes for a formula when a cell begins with it. An account may be
// a name that its owner chose, and a formula in a file that an operator opens can send the
// file's content away.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// ToCell writes a text so that no spreadsheet takes it for a formula: with an apostrophe
// before it. The form csv reads it back as it was.
func ToCell(text string) string {
	if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, "'")); strings.ContainsRune(formulaStarts, first) {
		return "'" + text
	}
	return text
}

// fromCell is the text that [ToCell] wrote.
func fromCell(cell string) string {
	if text, ok := strings.CutPrefix(cell, "'"); ok && ToCell(text) == cell {
		return text
	}
	return cell
}
