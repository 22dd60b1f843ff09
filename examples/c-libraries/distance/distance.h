#ifndef DISTANCE_H
#define DISTANCE_H

#include <sqlite3.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Gives a database the function `distance(a, b)`: how many letters make one word of the other. */
int distance_register(sqlite3 *db);

#ifdef __cplusplus
}
#endif

#endif
