package dodosim

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// pdfAnswer is the body of an answer that is a document.
type pdfAnswer struct {
	name string // of the file
	body []byte
}

// Millimetres on A4.
const (
	paperMargin = 20.0
	paperWidth  = 210 - 2*paperMargin
	amountWidth = 45.0
	countWidth  = 20.0
	nameWidth   = paperWidth - countWidth - amountWidth
)

// typesetter renders a document.
type typesetter struct{ *fpdf.Fpdf }

// pdf renders the document. The same document always gives the same bytes.
func (doc invoiceDocument) pdf() (any, error) {
	t := typesetter{fpdf.New("P", "mm", "A4", "")}
	t.AddUTF8FontFromBytes("go", "", goregular.TTF)
	t.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	t.SetCatalogSort(true)
	t.SetCreationDate(doc.date)
	t.SetModificationDate(doc.date)
	t.SetTitle(doc.title+" "+doc.number, true)
	t.SetCreator("dodogate simulator", true)
	t.SetLang("en")
	t.SetMargins(paperMargin, paperMargin, paperMargin)
	t.SetAutoPageBreak(true, 30)
	t.SetFooterFunc(t.footer)
	t.AddPage()

	t.head(doc)
	t.parties(doc)
	t.table(doc)
	var out bytes.Buffer
	if err := t.Output(&out); err != nil {
		return nil, fmt.Errorf("set %s %s in type: %w", doc.title, doc.number, err)
	}
	return pdfAnswer{strings.ToLower(strings.ReplaceAll(doc.title, " ", "-")) + "-" + doc.number + ".pdf", out.Bytes()}, nil
}

func (t typesetter) font(style string, size float64, grey int) {
	t.SetFont("go", style, size)
	t.SetTextColor(grey, grey, grey)
}

// line writes one line and moves to the next.
func (t typesetter) line(height float64, words string) {
	t.CellFormat(0, height, printable(words), "", 1, "L", false, 0, "")
}

func (t typesetter) rule() {
	t.SetDrawColor(200, 204, 212)
	t.Line(paperMargin, t.GetY(), paperMargin+paperWidth, t.GetY())
}

// footer says that the document is from a simulator.
func (t typesetter) footer() {
	t.SetY(-22)
	t.rule()
	t.font("", 8, 110)
	t.Ln(2)
	t.line(5, "Made by the dodogate simulator. Nothing was sold, no money moved, and this is no document for any tax office.")
}

func (t typesetter) head(doc invoiceDocument) {
	t.font("B", 24, 20)
	t.line(14, doc.title)
	for _, fact := range append([]labelled{{"Number", doc.number}, {"Date", doc.date.Format("2 January 2006")}}, doc.facts...) {
		t.font("", 10, 110)
		t.CellFormat(32, 6, fact.label, "", 0, "L", false, 0, "")
		t.font("", 10, 20)
		t.line(6, fact.value)
	}
	t.Ln(8)
}

// parties prints seller and customer next to each other.
func (t typesetter) parties(doc invoiceDocument) {
	top, bottom := t.GetY(), t.GetY()
	for i, party := range []struct {
		label string
		lines []string
	}{{"From", doc.from}, {"To", doc.to}} {
		left := paperMargin + float64(i)*paperWidth/2
		t.SetXY(left, top)
		t.font("", 10, 110)
		t.CellFormat(paperWidth/2, 6, party.label, "", 2, "L", false, 0, "")
		t.font("", 10, 20)
		for _, words := range party.lines {
			t.SetX(left)
			t.MultiCell(paperWidth/2-5, 5.5, printable(words), "", "L", false)
		}
		bottom = max(bottom, t.GetY())
	}
	t.SetXY(paperMargin, bottom+10)
}

func (t typesetter) table(doc invoiceDocument) {
	t.font("", 9, 110)
	t.CellFormat(nameWidth, 7, "Description", "", 0, "L", false, 0, "")
	t.CellFormat(countWidth, 7, "Quantity", "", 0, "R", false, 0, "")
	t.CellFormat(amountWidth, 7, "Amount", "", 1, "R", false, 0, "")
	t.rule()
	for _, l := range doc.lines {
		t.Ln(2)
		t.font("", 11, 20)
		top := t.GetY()
		t.MultiCell(nameWidth-5, 6, printable(l.name), "", "L", false)
		if l.note != "" {
			t.font("", 9, 110)
			t.MultiCell(nameWidth-5, 5, printable(l.note), "", "L", false)
		}
		bottom := t.GetY()
		if bottom < top { // the text went on to another page
			top = bottom - 6
		}
		t.SetXY(paperMargin+nameWidth, top)
		t.font("", 11, 20)
		t.CellFormat(countWidth, 6, fmt.Sprint(l.quantity), "", 0, "R", false, 0, "")
		t.CellFormat(amountWidth, 6, l.amount, "", 1, "R", false, 0, "")
		t.SetY(max(bottom, top+6) + 2)
		t.rule()
	}
	t.Ln(3)
	for i, total := range doc.totals {
		style := ""
		if i == len(doc.totals)-1 {
			style = "B"
		}
		t.font(style, 11, 20)
		t.CellFormat(paperWidth-amountWidth, 7, total.label, "", 0, "R", false, 0, "")
		t.CellFormat(amountWidth, 7, total.value, "", 1, "R", false, 0, "")
	}
}

// printable removes characters that cannot be rendered: control characters, and those beyond
// the Basic Multilingual Plane.
func printable(words string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsControl(c):
			return ' '
		case c > 0xFFFF:
			return '?'
		}
		return c
	}, strings.ToValidUTF8(words, "?"))
}
