#include "common/pgclient/pipeline.h"

namespace multigres::pgclient {

namespace {

bool EndsInReady(char request) {
  return request == 'Q' || request == 'S' || request == 'F';
}

bool IsExtended(char request) {
  return request == 'P' || request == 'B' || request == 'D' || request == 'E' || request == 'C';
}

}  // namespace

void Pipeline::Sent(char type) {
  if (!EndsInReady(type) && !IsExtended(type)) return;
  // An error that came before this was sent: the server drops it too.
  if (skipping_ && type != 'S') return;
  skipping_ = false;
  batch_open_ = IsExtended(type);
  requests_.push_back(type);
  if (EndsInReady(type)) ++syncs_;
}

void Pipeline::Received(char type) {
  const char request = front();
  switch (type) {
    case '1':
      if (request == 'P') Pop();
      break;
    case '2':
      if (request == 'B') Pop();
      break;
    case '3':
      if (request == 'C') Pop();
      break;
    case 'T':
    case 'n':
      if (request == 'D') Pop();
      break;
    case 'C':
    case 'I':
    case 's':
      if (request == 'E') Pop();
      break;
    case 'E':
      if (IsExtended(request) || request == '\0') SkipToSync();
      break;
    case 'Z':
      while (IsExtended(front())) Pop();
      if (!requests_.empty()) Pop();
      break;
    default:
      break;
  }
}

void Pipeline::Pop() {
  if (EndsInReady(requests_.front())) --syncs_;
  requests_.pop_front();
}

void Pipeline::SkipToSync() {
  while (!requests_.empty() && requests_.front() != 'S') Pop();
  // Nothing but a Sync that is yet to be sent brings the server back.
  skipping_ = requests_.empty() && batch_open_;
}

}  // namespace multigres::pgclient
