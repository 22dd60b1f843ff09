// Command worker greets whoever runs it.
package main

import (
	"fmt"
	"os"
	"os/user"

	"example.com/nested/libs/greeting"
)

func main() {
	name := fmt.Sprint("uid ", os.Getuid())
	if current, err := user.Current(); err == nil {
		name = current.Username
	}
	fmt.Println(greeting.For(name))
}
