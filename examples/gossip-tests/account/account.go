// Package account says who runs a member. It uses os/user, and os/user uses C where it can.
package account

import (
	"fmt"
	"os"
	"os/user"
)

// Name returns the name of the user, or the number where nothing knows a name.
func Name() string {
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return fmt.Sprint("uid-", os.Getuid())
}
