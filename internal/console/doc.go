// Package console is the operator's console: pages of the admin API that show accounts, the
// reasons for their credits and plans, and the events that an operator must decide about. It
// knows HTTP and the use cases of package gateway, and no Caddy.
//
// The pages are plain HTML with one style sheet inside: no script, and nothing that a
// browser would have to fetch from anywhere. No page has a secret, an event's body, an
// e-mail address or what leads to a checkout. Every page is bounded in size, however much
// there is to show.
//
// A page is asked for by GET, which changes nothing, from the console itself or by
// somebody who types its address. What changes something is a POST of a form of the
// console: it has the console's token in it, and comes from the console's origin.
package console
