package caddymodule

import "strings"

// maxFeatures is the longest list of features, in bytes. Common servers refuse a
// header line of more than 8 KiB, and Node 16 KiB of them all.
const maxFeatures = 4096

// encodeFeatures writes the names of features one behind the other, each as
// [encodeAccount] does, with commas between them; reserved must contain "," too. Of
// a longer list than maxFeatures it is the beginning, up to the last name that fits
// whole. An app that looks for a name finds all of it or nothing.
func encodeFeatures(names []string, reserved string) string {
	var b strings.Builder
	for _, name := range names {
		next := encodeAccount(name, reserved)
		if b.Len() > 0 {
			next = "," + next
		}
		if b.Len()+len(next) > maxFeatures {
			break
		}
		b.WriteString(next)
	}
	return b.String()
}
