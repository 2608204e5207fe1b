package caddymodule

import "strings"

// maxNames is the longest list of names, in bytes. Common servers refuse a
// header line of more than 8 KiB, and Node 16 KiB of them all.
const maxNames = 4096

// encodeNames writes the names of features or plans one behind the other, each as
// [encodeAccount] does, with commas between them; reserved must contain "," too. Of
// a longer list than maxNames it is the beginning, up to the last name that fits
// whole. An app that looks for a name finds all of it or nothing.
func encodeNames(names []string, reserved string) string {
	var b strings.Builder
	for _, name := range names {
		next := encodeAccount(name, reserved)
		if b.Len() > 0 {
			next = "," + next
		}
		if b.Len()+len(next) > maxNames {
			break
		}
		b.WriteString(next)
	}
	return b.String()
}
