// Cut cuts a Chinese sentence into words by a dictionary in a folder.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/yanyiwu/gojieba"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] == "-h" {
		fmt.Println("usage: cut FOLDER")
		os.Exit(2)
	}
	file := func(name string) string { return filepath.Join(os.Args[1], name) }
	jieba := gojieba.NewJieba(file("jieba.dict.utf8"), file("hmm_model.utf8"), file("user.dict.utf8"),
		file("idf.utf8"), file("stop_words.utf8"))
	defer jieba.Free()
	fmt.Println(strings.Join(jieba.Cut("我来到北京清华大学", true), "/"))
}
