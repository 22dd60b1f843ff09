module example.com/cpp-database

go 1.24
