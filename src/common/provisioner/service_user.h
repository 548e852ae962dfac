// Who the services run as. PostgreSQL and our servers refuse root: started by root, they run as the system user
// `multigres`, from copies of the programs that this user can read.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/provisioner/programs.h"

namespace multigres::provisioner {

struct ServiceUser {
  uid_t uid = 0;
  gid_t gid = 0;
};

inline constexpr std::string_view kServiceUserName = "multigres";

// Nothing unless we are root. Makes the user if it is absent.
Awaitable<Result<std::optional<ServiceUser>>> EnsureServiceUser(Reactor& reactor);

// Makes the folder (and its parents, those 0755) with this owner and mode.
Result<> MakeOwnedDirectory(const std::string& path, mode_t mode, const std::optional<ServiceUser>& user);
// Writes a file of mode 0600 for the services' user.
Result<> WriteSecret(const std::string& path, const std::string& content, const std::optional<ServiceUser>& user);
// FAILED_PRECONDITION if the user can't get to the folder because a parent forbids it.
Result<> CheckReachable(const std::string& path, const ServiceUser& user);

// Copies our programs into `directory`, those whose content differs, replacing each at once (what runs keeps its own),
// and returns their new paths.
Result<std::map<std::string, std::string>> InstallPrograms(const std::map<std::string, std::string>& programs,
                                                           const std::string& directory);

}  // namespace multigres::provisioner
