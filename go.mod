module kubefips.internal

go 1.26.0
