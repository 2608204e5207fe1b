package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// happened is the answer of what makes events.
type happened struct {
	Events []dodosim.Event `json:"events"`
}

func printEvents(cmd *cobra.Command, events []dodosim.Event) error {
	if len(events) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "Nothing has happened.")
		return err
	}
	t := newTable(cmd.OutOrStdout())
	t.row("EVENT", "OBJECT", "WEBHOOK ID", "STATE", "ATTEMPTS", "AT")
	for _, e := range events {
		t.row(e.Type, e.ObjectID, e.ID, e.State, e.Attempts, e.At.UTC().Format(time.RFC3339))
	}
	return t.print()
}

func triggerCommand() *cobra.Command {
	var wish dodosim.Trigger
	cmd := &cobra.Command{
		Use:   "trigger <event>",
		Short: "Makes an event happen, with the state that it tells of",
		Long: `Makes an event happen, as the end of a story that can lead to it: somebody buys, a
card fails, a dispute is lost. All events of the story are sent, signed as always, and
what they tell of can be read by the API and goes on: a renewal follows a month later.

With --account it goes on with what the account has: the latest checkout, payment or
subscription with that text as a value in its metadata. A checkout that waits is paid.
If there is nothing, something new is bought, with the metadata of the last purchase, or
with the account as user_id in it.`,
		Example: examples(
			"sim trigger --list",
			"sim trigger payment.succeeded --product pdt_credits --quantity 2",
			"sim trigger payment.succeeded --session cks_…",
			"sim trigger subscription.on_hold --account ada",
			"sim trigger refund.succeeded --account ada --amount 500",
			"sim trigger payment.succeeded --metadata user_id=7 --email ada@example.com",
		),
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	list := flags.Bool("list", false, "List the events, and do nothing")
	flags.StringVar(&wish.Account, "account", "", "Whose payment or subscription it is about, by its metadata")
	flags.StringVar(&wish.Session, "session", "", "The checkout session that is paid")
	flags.StringVar(&wish.Payment, "payment", "", "The payment that it is about")
	flags.StringVar(&wish.Subscription, "subscription", "", "The subscription that it is about")
	flags.StringVar(&wish.Dispute, "dispute", "", "The dispute that it is about")
	flags.StringVar(&wish.Product, "product", "", "The id of what is bought, or changed to")
	flags.Int32Var(&wish.Quantity, "quantity", 0, "How many pieces")
	flags.IntVar(&wish.Amount, "amount", 0, "How much is refunded, in minor units; all")
	flags.StringVar(&wish.Email, "email", "", "The buyer's e-mail")
	flags.StringVar(&wish.Name, "name", "", "The buyer's name")
	flags.StringToStringVar(&wish.Metadata, "metadata", nil, "Metadata of what is bought: name=value")
	flags.BoolVar(&wish.Existing, "existing", false, "Buy nothing new for it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *list {
			return listTypes(cmd)
		}
		if len(args) != 1 {
			return errors.New("exactly one event is needed; --list lists them")
		}
		wish.Type = args[0]
		return tell(cmd, "trigger", wish)
	}
	return cmd
}

// tell asks for something to happen and prints what has.
func tell(cmd *cobra.Command, path string, body any) error {
	did, printed, err := answer[happened](cmd, http.MethodPost, path, body)
	if err != nil || printed {
		return err
	}
	return printEvents(cmd, did.Events)
}

func listTypes(cmd *cobra.Command) error {
	list, printed, err := answer[struct{ Types []string }](cmd, http.MethodGet, "event-types", nil)
	if err == nil && !printed {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(list.Types, "\n"))
	}
	return err
}

func payCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pay <checkout session>",
		Short: "Pays a checkout by a test card, without a browser",
		Long: `Pays a checkout by a test card, without a browser, as a customer does on its page. A
decline is an outcome, too: it can be paid again.`,
		Example: examples(
			"sim pay cks_…",
			"sim pay cks_… --card 4000000000000002",
		),
		Args: cobra.ExactArgs(1),
	}
	card := cmd.Flags().String("card", "", "The number of a test card; one that is good")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		paid, printed, err := answer[map[string]string](cmd, http.MethodPost, "pay", map[string]string{"session": args[0], "card": *card})
		if err != nil || printed {
			return err
		}
		t := newTable(cmd.OutOrStdout())
		for _, name := range []string{"status", "payment_id", "subscription_id", "redirect_url"} {
			t.row(strings.ReplaceAll(name, "_", " "), paid[name])
		}
		return t.print()
	}
	return cmd
}

func refundCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "refund [<payment>]",
		Short: "Gives a payment back, or a part of it",
		Long:  `Gives a payment back, or a part of it, as a merchant does in the dashboard.`,
		Example: examples(
			"sim refund pay_…",
			"sim refund --account ada --amount 500",
			"sim refund --account ada --fails",
		),
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	account := flags.String("account", "", "The account whose latest payment it is, instead")
	amount := flags.Int("amount", 0, "How much, in minor units; all that is left")
	fails := flags.Bool("fails", false, "Let it fail: refund.failed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return tell(cmd, "refund", map[string]any{"payment": first(args), "account": *account, "amount": *amount, "fails": *fails})
	}
	return cmd
}

func cardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "card slow|slow-fail|mend [<subscription>]",
		Short: "Decides how later charges to a subscription's card go",
		Long: `Decides how later charges to a subscription's card go: renewals, and charges on demand.
With slow they are processing for two days and then succeed, as those to Indian cards do.
With slow-fail they fail after two days. With mend they succeed at once.`,
		Example: examples(
			"sim card slow sub_…",
			"sim card slow-fail --account ada",
			"sim card mend --account ada",
		),
		Args: cobra.RangeArgs(1, 2),
	}
	account := cmd.Flags().String("account", "", "The account whose latest subscription it is, instead")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]string{"do": args[0], "subscription": first(args[1:]), "account": *account}
		did, printed, err := answer[struct {
			ID string `json:"subscription_id"`
		}](cmd, http.MethodPost, "card", body)
		if err != nil || printed {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The card of %s is changed.\n", printable(did.ID))
		return err
	}
	return cmd
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func disputeCommand() *cobra.Command {
	words := []string{"open", "challenge", "win", "lose", "accept", "cancel", "expire", "rdr"}
	cmd := &cobra.Command{
		Use:   "dispute " + strings.Join(words, "|"),
		Short: "Opens and decides disputes",
		Long: `Opens and decides disputes. If none is open, it is opened first. rdr settles one before
it is opened, as Rapid Dispute Resolution does: it is lost.`,
		Example: examples(
			"sim dispute open --account ada",
			"sim dispute win --account ada",
			"sim dispute lose --payment pay_…",
			"sim dispute accept --dispute dp_…",
		),
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: words,
	}
	flags := cmd.Flags()
	account := flags.String("account", "", "The account whose latest payment or dispute it is")
	payment := flags.String("payment", "", "The payment")
	dispute := flags.String("dispute", "", "The dispute")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return tell(cmd, "dispute", map[string]string{"do": args[0], "account": *account, "payment": *payment, "dispute": *dispute})
	}
	return cmd
}
