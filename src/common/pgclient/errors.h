// What an error says about the connection that it came from.
#pragma once

#include "tools/result/error.h"

namespace multigres::pgclient {

// The connection, or the way to the server, is gone: EOF, reset, broken pipe, refused (UNAVAILABLE without a SQLSTATE),
// SQLSTATE class 08, 57P01, 57P02, 57P03, 57P05.
bool IsConnectionError(const Error& error);

// The connection can't be used again: a connection error, or any FATAL or PANIC.
bool IsDead(const Error& error);

// A wait ended by its Bounds (DEADLINE_EXCEEDED, CANCELED), not by PostgreSQL; the connection is as it was.
bool IsInterrupted(const Error& error);

}  // namespace multigres::pgclient
