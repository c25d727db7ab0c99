"""A text becomes an Understanding. Pure: no clock, disk or network once it is built."""
