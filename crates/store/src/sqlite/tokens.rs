//! API tokens in SQLite.

use clock::Time;
use model::{ApiToken, TokenId};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::records::{account_of, role_of, role_word, scopes_of, scopes_text};
use crate::{Kind, StoreError};

pub(super) fn insert(tx: &Transaction<'_>, token: &ApiToken, hash: &str) -> Result<(), StoreError> {
    let id = token.id.to_string();
    let holder: Option<String> = tx
        .prepare_cached("SELECT id FROM token WHERE hash = ? OR id = ?")?
        .query_row([hash, &id], |row| row.get(0))
        .optional()?;
    if let Some(by) = holder {
        return Err(StoreError::Duplicate { field: "id", by });
    }
    tx.prepare_cached(
        "INSERT INTO token (id, hash, name, role, created_us, last_used_us, expires_us, account, scopes) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        hash,
        token.name,
        role_word(token.role),
        token.created_us as i64,
        token.last_used_us.map(|us| us as i64),
        token.expires_us.map(|us| us as i64),
        token.account.map(|account| account.to_string()),
        scopes_text(token),
    ])?;
    Ok(())
}

pub(super) fn all(tx: &Transaction<'_>) -> Result<Vec<ApiToken>, StoreError> {
    let mut select = tx.prepare_cached(&format!("{SELECT} ORDER BY id"))?;
    let mut rows = select.query([])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(read(row)?);
    }
    Ok(tokens)
}

pub(super) fn by_hash(tx: &Transaction<'_>, hash: &str) -> Result<Option<ApiToken>, StoreError> {
    let mut select = tx.prepare_cached(&format!("{SELECT} WHERE hash = ?"))?;
    let mut rows = select.query([hash])?;
    rows.next()?.map(read).transpose()
}

pub(super) fn touch(tx: &Transaction<'_>, id: TokenId, at: Time) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE token SET last_used_us = ? WHERE id = ?")?
        .execute(params![at.as_micros() as i64, id.to_string()])?;
    Ok(())
}

/// Deletes a token and returns it as it was.
pub(super) fn remove(tx: &Transaction<'_>, id: TokenId) -> Result<ApiToken, StoreError> {
    let text = id.to_string();
    let mut select = tx.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
    let mut rows = select.query([&text])?;
    let token = rows.next()?.map(read).transpose()?;
    let token = token.ok_or(StoreError::NotFound {
        kind: Kind::Token,
        id: text.clone(),
    })?;
    tx.prepare_cached("DELETE FROM token WHERE id = ?")?
        .execute([text])?;
    Ok(token)
}

fn read(row: &Row<'_>) -> Result<ApiToken, StoreError> {
    let id: String = row.get(0)?;
    let role: String = row.get(2)?;
    let corrupt = |what: &str| StoreError::Corrupt(format!("token {id} has no {what}"));
    let (scopes, zones) = scopes_of(&row.get::<_, String>(7)?).map_err(|()| corrupt("zones"))?;
    Ok(ApiToken {
        id: id.parse().map_err(|_| corrupt("identifier"))?,
        name: row.get(1)?,
        role: role_of(&role).ok_or_else(|| corrupt("role"))?,
        created_us: row.get::<_, i64>(3)? as u64,
        last_used_us: row.get::<_, Option<i64>>(4)?.map(|us| us as u64),
        expires_us: row.get::<_, Option<i64>>(5)?.map(|us| us as u64),
        account: account_of(row.get(6)?).map_err(|()| corrupt("account"))?,
        zones,
        scopes,
    })
}

const SELECT: &str = "SELECT id, name, role, created_us, last_used_us, expires_us, account, scopes \
    FROM token";
