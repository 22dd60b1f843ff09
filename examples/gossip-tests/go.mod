module example.com/gossip-tests

go 1.24
