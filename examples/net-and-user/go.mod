module example.com/net-and-user

go 1.24
