package backup

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/argon2"
)

// MinPassphrase is the shortest passphrase in bytes.
const MinPassphrase = 12

const (
	saltSize = 16
	// What a guess at a passphrase costs: OWASP's advice for argon2id, several times over, as nobody waits for it often.
	argonTime, argonMemory, argonThreads = 3, 64 << 10, 4
	// maxSecret bounds one file, and maxSecrets their number; a site has a handful of a few hundred bytes.
	maxSecret, maxSecrets = 1 << 20, 1000
)

// readSecrets reads the files of a folder, by their names below it. There may be none.
func readSecrets(dir string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if path == dir && errors.Is(err, fs.ErrNotExist) {
			return nil // a site whose keys all come from its configuration, and that never ran
		}
		if err != nil || e.IsDir() {
			return err
		}
		// Followed where it is a link, as whoever mounts secrets makes them: a key that is left out is missed when it is too late.
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		if info.Size() > maxSecret || len(files) == maxSecrets {
			return fmt.Errorf("%s: too large, or too many files", path)
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("backup: secrets: %w", err)
	}
	return files, nil
}

// CopySecrets copies the secrets of one folder into another, as RestoreSecrets does.
func CopySecrets(from, to string) (names []string, err error) {
	files, err := readSecrets(from)
	if err != nil {
		return nil, err
	}
	return writeSecrets(to, files)
}

// sealSecrets seals the files of a folder: salt | nonce | ciphertext and tag of a JSON object of names and bytes.
func sealSecrets(dir string, passphrase []byte) ([]byte, error) {
	if len(passphrase) < MinPassphrase {
		return nil, fmt.Errorf("backup: the passphrase has %d bytes, want %d or more", len(passphrase), MinPassphrase)
	}
	files, err := readSecrets(dir)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(files)
	if err != nil {
		return nil, fmt.Errorf("backup: secrets: %w", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	aead, err := aeadOf(passphrase, salt)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(slices.Concat(salt, nonce), nonce, plain, []byte(secretsName)), nil
}

func aeadOf(passphrase, salt []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(argon2.IDKey(passphrase, salt, argonTime, argonMemory, argonThreads, 32))
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return cipher.NewGCM(block)
}

func openSecrets(sealed, passphrase []byte) (map[string][]byte, error) {
	if len(sealed) < saltSize {
		return nil, ErrPassphrase
	}
	aead, err := aeadOf(passphrase, sealed[:saltSize])
	if err != nil {
		return nil, err
	}
	rest := sealed[saltSize:]
	if len(rest) < aead.NonceSize() {
		return nil, ErrPassphrase
	}
	plain, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], []byte(secretsName))
	if err != nil {
		return nil, ErrPassphrase
	}
	files := make(map[string][]byte)
	if err := json.Unmarshal(plain, &files); err != nil {
		return nil, fmt.Errorf("backup: secrets: %w", err)
	}
	return files, nil
}

// RestoreSecrets writes the secrets into a folder, and returns their names. One that is there already with other bytes is left, and is
// an error: it may be all that opens something else.
func (b *Backup) RestoreSecrets(dir string, passphrase []byte) (names []string, err error) {
	files, err := b.openSecrets(passphrase)
	if err != nil {
		return nil, err
	}
	return writeSecrets(dir, files)
}

// CheckSecrets says whether RestoreSecrets would open them: nil, or why not.
func (b *Backup) CheckSecrets(passphrase []byte) error {
	_, err := b.openSecrets(passphrase)
	return err
}

func (b *Backup) openSecrets(passphrase []byte) (map[string][]byte, error) {
	if !b.Head.Secrets {
		return nil, fmt.Errorf("backup: it has no secrets: %w", fs.ErrNotExist)
	}
	sealed, err := b.read(b.secrets)
	if err != nil {
		return nil, err
	}
	return openSecrets(sealed, passphrase)
}

// writeSecrets writes files for the owner alone, each whole or not at all, and returns the names of those that were not there before.
func writeSecrets(dir string, files map[string][]byte) (names []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return names, fmt.Errorf("%w: a secret is called %q", ErrDamaged, name)
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		there, err := os.ReadFile(path)
		switch {
		case err == nil && string(there) == string(text):
			continue
		case err == nil:
			return names, fmt.Errorf("backup: %s is there, and is another: move it away if nothing needs it", path)
		case !errors.Is(err, fs.ErrNotExist):
			return names, fmt.Errorf("backup: secrets: %w", err)
		}
		if err := writeFile(path, text); err != nil {
			return names, fmt.Errorf("backup: secrets: %w", err)
		}
		names = append(names, name)
	}
	return names, nil
}

func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
