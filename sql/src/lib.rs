//! SQL: parse, bind, plan, execute.
