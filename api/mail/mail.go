// Package mail sends short texts by SMTP.
package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"strings"
	"time"
)

// Server is where mail is handed in. Its methods may be called from any goroutine.
type Server struct {
	host, port string
	implicit   bool // TLS from the first byte
	user, pass string
	from       mail.Address
	now        func() time.Time
}

// timeout bounds one message where the context has no deadline.
const timeout = 30 * time.Second

// New reads smtp://user:password@host:587?from=tv@example.com: STARTTLS where the server offers it, and always before a password is sent.
// smtps:// has TLS from the first byte. Without from the user's name is the sender, if it is an address. name stands beside it.
func New(address, name string) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return nil, errors.New("mail: not of the form smtp://host:587, with user, colon, password and @ in front of the host") // what it is may hold a password
	}
	s := &Server{host: u.Hostname(), port: u.Port(), implicit: u.Scheme == "smtps", now: time.Now}
	if s.port == "" {
		s.port = map[bool]string{false: "587", true: "465"}[s.implicit]
	}
	if u.User != nil {
		s.user = u.User.Username()
		s.pass, _ = u.User.Password()
	}
	from := u.Query().Get("from")
	if from == "" {
		from = s.user
	}
	if !strings.Contains(from, "@") {
		from = "mediad@" + s.host
	}
	parsed, err := mail.ParseAddress(from)
	if err != nil {
		return nil, errors.New("mail: from is no address")
	}
	s.from = mail.Address{Name: name, Address: parsed.Address}
	return s, nil
}

// Send hands one message in. subject and body are plain text.
func (s *Server) Send(ctx context.Context, to, subject, body string) error {
	message, err := s.message(to, subject, body)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	defer conn.Close()
	// The protocol's package knows no context: closing the connection ends whatever it waits for.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := s.deliver(conn, to, message); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

func (s *Server) tls() *tls.Config {
	return &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
}

func (s *Server) deliver(conn net.Conn, to string, message []byte) error {
	if s.implicit {
		conn = tls.Client(conn, s.tls())
	}
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return err
	}
	defer c.Close()
	if ok, _ := c.Extension("STARTTLS"); ok && !s.implicit {
		if err := c.StartTLS(s.tls()); err != nil {
			return err
		}
	}
	if s.user != "" {
		// PlainAuth refuses to send the password without TLS, but to this machine.
		if err := c.Auth(smtp.PlainAuth("", s.user, s.pass, s.host)); err != nil {
			return err
		}
	}
	if err := c.Mail(s.from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// message writes the text as RFC 5322 wants it. No header can be smuggled in: addresses are parsed and the subject is encoded.
func (s *Server) message(to, subject, body string) ([]byte, error) {
	parsed, err := mail.ParseAddress(to)
	if err != nil {
		return nil, errors.New("the recipient is no address")
	}
	var id [16]byte
	rand.Read(id[:]) // never fails
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", s.from.String(), (&mail.Address{Address: parsed.Address}).String(),
		mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields(subject), " ")), s.now().Format(time.RFC1123Z), hex.EncodeToString(id[:]), s.host)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nAuto-Submitted: auto-generated\r\n\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(body, "\n", "\r\n"))); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}
