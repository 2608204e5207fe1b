package httpapi

// FoldName appends a header's name without case and without anything but letters
// and digits. Backends differ in what they take for the same name: CGI turns every
// other character into an underscore.
func FoldName(to []byte, name string) []byte {
	for i := range len(name) {
		if c := FoldByte(name[i]); c != 0 {
			to = append(to, c)
		}
	}
	return to
}

// FoldByte is one byte of [FoldName], and 0 for a byte that does not count.
func FoldByte(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return 0
}
