package importfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
)

// Source is a file or a table. It can be opened repeatedly.
type Source struct {
	Name string // for people; without a password
	Open func() (io.ReadCloser, error)
}

var (
	postgresURL = regexp.MustCompile(`(?i)^postgres(?:ql)?(?:\+[a-z0-9_]+)?://`) // SQLAlchemy names a driver after a plus
	otherURL    = regexp.MustCompile(`(?i)://|^\W*(?:jdbc|postgres(?:ql)?)[a-z0-9+]*:`)
	keywords    = regexp.MustCompile(`(?i)(?:^|\s)(?:host|hostaddr|user|password|dbname|service)\s*=`) // libpq's other form
)

// ErrDatabase means that an argument names a database of another kind. The error does not
// quote the argument, because it may contain a password.
var ErrDatabase = errors.New("only CSV files and databases of the form postgres://user:password@host/name can be imported")

// Sources resolves an argument: a CSV file, or a URL of a PostgreSQL database. tables are the
// tables to read; empty for those of the form. It refuses other addresses without opening
// them.
func Sources(f Form, arg string, tables []string) ([]Source, error) {
	switch prefix := postgresURL.FindString(arg); {
	case prefix != "":
		return databaseSources(f, "postgres://"+arg[len(prefix):], tables)
	case otherURL.MatchString(arg) || keywords.MatchString(arg):
		return nil, ErrDatabase
	}
	return []Source{{Name: arg, Open: func() (io.ReadCloser, error) {
		file, err := os.Open(arg)
		if err != nil {
			return nil, err
		}
		if info, err := file.Stat(); err == nil && info.IsDir() {
			_ = file.Close()
			return nil, fmt.Errorf("%s is a directory", arg)
		}
		return file, nil
	}}}, nil
}
