package httpapi

import "strings"

// scriptOf is the script that a CGI server runs for a path.
func scriptOf(p string) string {
	if end := scriptEnd(p); end >= 0 {
		return p[:end]
	}
	return p
}

// pathInfo is the part of a path that a CGI server passes to the script.
func pathInfo(p string) string {
	if end := scriptEnd(p); end >= 0 {
		return p[end:]
	}
	return p
}

// scriptEnd is the end of the first script in a path that has something below it; -1 if there
// is none.
func scriptEnd(p string) int {
	lastDot := -1
	for i := range len(p) {
		switch p[i] {
		case '.':
			lastDot = i
		case '/':
			if lastDot >= 0 && isScript(p[lastDot+1:i]) {
				return i
			}
			lastDot = -1
		}
	}
	return -1
}

// isScript reports whether files with this ending are run, and have paths below them.
func isScript(ending string) bool {
	if len(ending) > maxScriptEnding {
		return false
	}
	switch ending {
	case "php", "phtml", "phar", "cgi", "fcgi", "pl", "py", "rb", "lua", "asp", "aspx", "ashx", "asmx", "svc", "cfm", "cfc":
		return true
	}
	return len(ending) == 4 && ending[:3] == "php" && '0' <= ending[3] && ending[3] <= '9'
}

const maxScriptEnding = len("phtml")

// withoutSidecar is the file that a compressed file stands for.
func withoutSidecar(p string) string {
	p2 := strings.TrimRight(p, "/")
	for _, ending := range []string{".gz", ".br", ".zst"} {
		if file, ok := strings.CutSuffix(p2, ending); ok && file != "" && file[len(file)-1] != '/' {
			return file
		}
	}
	return p
}

// withoutIndex is the directory that an index file stands for.
func withoutIndex(p string) string {
	p2 := strings.TrimRight(p, "/")
	i := strings.LastIndexByte(p2, '/') + 1
	if i > 0 && isIndex(p2[i:]) {
		return p2[:i]
	}
	return p
}

// isIndex reports whether some server serves a file of this name for its directory:
// index.html, index.de.html, index.php, default.aspx, and so on.
func isIndex(name string) bool {
	stem, endings, dotted := strings.Cut(name, ".")
	switch stem {
	case "index":
		if !dotted {
			return true // some routers add the ending
		}
	case "default", "iisstart":
	default:
		return false
	}
	for ending := range strings.SplitSeq(endings, ".") {
		if isPage(ending) {
			return true
		}
		switch ending {
		case "txt", "xml", "json", "md":
			return true
		}
	}
	return false
}

// isPage reports whether files with this ending are pages, or are run to make one.
func isPage(ending string) bool {
	switch ending {
	case "html", "htm", "xhtml", "xhtm", "shtml", "shtm", "jsp", "jspx", "jsf", "do", "action":
		return true
	}
	return isScript(ending)
}
