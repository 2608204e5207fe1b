package httpapi

// FoldName appends a header's name in lower case, without characters other than letters and
// digits. Backends treat different names as the same: CGI turns every other character into an
// underscore.
func FoldName(to []byte, name string) []byte {
	for i := range len(name) {
		if c := FoldByte(name[i]); c != 0 {
			to = append(to, c)
		}
	}
	return to
}

// FoldByte is one byte of [FoldName]; 0 for a byte that is dropped.
func FoldByte(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return 0
}
