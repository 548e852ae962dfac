// Where a program is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/result/error.h"

namespace multigres {

// The path of an executable file: `name` itself if it has a slash, else the first hit in `directories`, then in PATH.
// NOT_FOUND names the program.
Result<std::string> FindProgram(std::string_view name, const std::vector<std::string>& directories = {});

// "<base>/<N>/<subfolder>" of all numeric N from `lowest` to `highest`, newest first:
// VersionedDirectories("/usr/lib/postgresql", "bin", 14, 18).
std::vector<std::string> VersionedDirectories(std::string_view base, std::string_view subfolder, int lowest,
                                              int highest);

// The folder that holds PostgreSQL's server programs (initdb, postgres): `preferred` if not empty (then nothing else is
// tried), else PATH, else the newest of versions 14 to 18 below /usr/lib/postgresql. NOT_FOUND says what to install.
Result<std::string> FindPostgresBinDir(std::string_view preferred = {});

}  // namespace multigres
