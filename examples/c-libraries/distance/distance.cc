#include "distance.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace {

int distance_of(const std::string &a, const std::string &b) {
    std::vector<int> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (size_t i = 1; i <= a.size(); i++) {
        int corner = row[0]++;
        for (size_t j = 1; j <= b.size(); j++) {
            int change = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

std::string text_of(sqlite3_value *value) {
    auto text = reinterpret_cast<const char *>(sqlite3_value_text(value));
    return text ? text : "";
}

void distance(sqlite3_context *context, int, sqlite3_value **values) {
    sqlite3_result_int(context, distance_of(text_of(values[0]), text_of(values[1])));
}

} // namespace

int distance_register(sqlite3 *db) {
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    return sqlite3_create_function(db, "distance", 2, flags, nullptr, distance, nullptr, nullptr);
}
