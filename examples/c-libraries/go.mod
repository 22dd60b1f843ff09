module example.com/c-libraries

go 1.24
