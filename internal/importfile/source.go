package importfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
)

// Source is a file or a table. It may be opened again and again.
type Source struct {
	Name string // for people; without a password
	Open func() (io.ReadCloser, error)
}

var (
	postgresURL = regexp.MustCompile(`(?i)^postgres(?:ql)?(?:\+[a-z0-9_]+)?://`) // SQLAlchemy names a driver after a plus
	otherURL    = regexp.MustCompile(`(?i)://|^\W*(?:jdbc|postgres(?:ql)?)[a-z0-9+]*:`)
	keywords    = regexp.MustCompile(`(?i)(?:^|\s)(?:host|hostaddr|user|password|dbname|service)\s*=`) // libpq's other form
)

// ErrDatabase says that an argument names a database of another kind. The error leaves the
// argument out, because a password may be in it.
var ErrDatabase = errors.New("only CSV files and databases of the form postgres://user:password@host/name can be imported")

// Sources finds what an argument names: a CSV file, or by a URL the tables of a PostgreSQL
// database, which are those of the form unless others are named. A text that looks like
// another address is refused unseen.
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
