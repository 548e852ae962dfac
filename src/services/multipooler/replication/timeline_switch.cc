#include "services/multipooler/replication/timeline_switch.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "common/consensus/lsn.h"
#include "tools/fs/file.h"

namespace multigres::pooler::replication {

namespace {

using ::multigres::consensus::Lsn;

constexpr std::size_t kSegmentNameLength = 24;
constexpr std::size_t kTimelineDigits = 8;
constexpr std::uint64_t kPage = 8192;
// XLogPageHeaderData and XLogLongPageHeaderData (src/include/access/xlog_internal.h), XLogRecord (xlogrecord.h).
constexpr std::uint64_t kPageHeader = 24;
constexpr std::uint64_t kLongPageHeader = 40;
constexpr std::size_t kPageAddressAt = 8;
constexpr std::size_t kRecordHeader = 24;
constexpr std::size_t kPreviousRecordAt = 8;

template <class T>
T Number(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// The last line of a history file that names a timeline: "3\t0/29E3F70\treason".
std::optional<Lsn> BranchPoint(std::string_view history) {
  std::optional<Lsn> branch;
  while (!history.empty()) {
    const std::string_view line = history.substr(0, history.find('\n'));
    history.remove_prefix(std::min(history.size(), line.size() + 1));
    const auto tab = line.find('\t');
    if (line.starts_with('#') || tab == std::string_view::npos) continue;
    const auto end = line.find('\t', tab + 1);
    auto lsn = ::multigres::consensus::ParseLsn(line.substr(tab + 1, end == line.npos ? end : end - tab - 1));
    if (lsn) branch = *lsn;
  }
  return branch;
}

std::string SegmentName(std::string_view timeline, Lsn lsn, std::uint64_t segment_size) {
  const std::uint64_t number = lsn / segment_size;
  const std::uint64_t per_id = 0x100000000U / segment_size;
  return fmt::format("{}{:08X}{:08X}", timeline, number / per_id, number % per_id);
}

// May recovery read a record at `lsn`, which lies on this page of its segment? As it checks a page's address and a
// record's header before all else.
bool HasRecordAt(Lsn lsn, std::string_view page, std::uint64_t segment_size) {
  if (page.size() != kPage || Number<std::uint64_t>(page, kPageAddressAt) != lsn / kPage * kPage) return false;
  std::uint64_t record_at = lsn % kPage;
  if (record_at == 0) record_at = lsn % segment_size == 0 ? kLongPageHeader : kPageHeader;
  // Its length is always on the page where it begins; the rest of its header may go on behind the next page's.
  if (Number<std::uint32_t>(page, record_at) < kRecordHeader) return false;
  if (record_at + kRecordHeader > kPage) return true;
  const auto previous = Number<std::uint64_t>(page, record_at + kPreviousRecordAt);
  return previous > 0 && previous < lsn;
}

std::string ReadPage(const std::string& segment, std::uint64_t at) {
  std::string page(kPage, '\0');
  std::ifstream file(segment, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  file.read(page.data(), kPage);
  page.resize(static_cast<std::size_t>(file.gcount()));
  return page;
}

bool IsSegment(const std::string& name) {
  return name.size() == kSegmentNameLength && name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

}  // namespace

Result<> RemoveUnfinishedSwitches(const std::string& data_dir) {
  const std::string folder = data_dir + "/pg_wal/";
  auto names = fs::ListDirectory(folder);
  if (!names) return std::unexpected(std::move(names.error()));
  for (const std::string& name : *names) {
    if (!name.ends_with(".history")) continue;
    auto history = fs::ReadFile(folder + name);
    if (!history) return std::unexpected(std::move(history.error()));
    const auto branch = BranchPoint(*history);
    if (!branch) continue;
    const std::string_view timeline = std::string_view(name).substr(0, kTimelineDigits);
    // All of a server's segments have one size: that of any of this timeline's.
    const auto any = std::ranges::find_if(
        *names, [&](const std::string& other) { return IsSegment(other) && other.starts_with(timeline); });
    if (any == names->end()) continue;
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(folder + *any, error);
    if (error || size < kPage) continue;
    const std::string segment = folder + SegmentName(timeline, *branch, size);
    if (!fs::Exists(segment)) continue;
    if (HasRecordAt(*branch, ReadPage(segment, *branch % size / kPage * kPage), size)) continue;
    auto removed = fs::RemoveFile(segment);
    if (!removed) return std::unexpected(std::move(removed.error()));
  }
  return {};
}

}  // namespace multigres::pooler::replication
