//! API tokens in PostgreSQL.

use clock::Time;
use deadpool_postgres::Transaction;
use model::{ApiToken, TokenId};
use tokio_postgres::Row;

use super::{execute, row, rows};
use crate::records::{account_of, role_of, role_word, scopes_of, scopes_text};
use crate::{Kind, StoreError};

pub(super) async fn insert(
    tx: &Transaction<'_>,
    token: &ApiToken,
    hash: &str,
) -> Result<(), StoreError> {
    let id = token.id.to_string();
    let holder = "SELECT id FROM token WHERE hash = $1 OR id = $2 LIMIT 1";
    if let Some(holder) = row(tx, holder, &[&hash, &id]).await? {
        return Err(StoreError::Duplicate {
            field: "id",
            by: holder.try_get(0)?,
        });
    }
    execute(
        tx,
        "INSERT INTO token (id, hash, name, role, created_us, last_used_us, expires_us, account, scopes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &id,
            &hash,
            &token.name,
            &role_word(token.role),
            &(token.created_us as i64),
            &token.last_used_us.map(|us| us as i64),
            &token.expires_us.map(|us| us as i64),
            &token.account.map(|account| account.to_string()),
            &scopes_text(token),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn all(tx: &Transaction<'_>) -> Result<Vec<ApiToken>, StoreError> {
    let rows = rows(tx, &format!("{SELECT} ORDER BY id"), &[]).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn by_hash(
    tx: &Transaction<'_>,
    hash: &str,
) -> Result<Option<ApiToken>, StoreError> {
    let found = row(tx, &format!("{SELECT} WHERE hash = $1"), &[&hash]).await?;
    found.as_ref().map(read).transpose()
}

pub(super) async fn touch(tx: &Transaction<'_>, id: TokenId, at: Time) -> Result<(), StoreError> {
    let at_us = at.as_micros() as i64;
    let touch = "UPDATE token SET last_used_us = $1 WHERE id = $2";
    execute(tx, touch, &[&at_us, &id.to_string()]).await?;
    Ok(())
}

/// Deletes a token and returns it as it was.
pub(super) async fn remove(tx: &Transaction<'_>, id: TokenId) -> Result<ApiToken, StoreError> {
    let text = id.to_string();
    let found = row(tx, &format!("{SELECT} WHERE id = $1"), &[&text]).await?;
    let token = found.as_ref().map(read).transpose()?;
    let token = token.ok_or(StoreError::NotFound {
        kind: Kind::Token,
        id: text.clone(),
    })?;
    execute(tx, "DELETE FROM token WHERE id = $1", &[&text]).await?;
    Ok(token)
}

fn read(row: &Row) -> Result<ApiToken, StoreError> {
    let (id, role): (&str, &str) = (row.try_get(0)?, row.try_get(2)?);
    let corrupt = |what: &str| StoreError::Corrupt(format!("token {id} has no {what}"));
    let (scopes, zones) = scopes_of(row.try_get(7)?).map_err(|()| corrupt("zones"))?;
    Ok(ApiToken {
        id: id.parse().map_err(|_| corrupt("identifier"))?,
        name: row.try_get(1)?,
        role: role_of(role).ok_or_else(|| corrupt("role"))?,
        created_us: row.try_get::<_, i64>(3)? as u64,
        last_used_us: row.try_get::<_, Option<i64>>(4)?.map(|us| us as u64),
        expires_us: row.try_get::<_, Option<i64>>(5)?.map(|us| us as u64),
        account: account_of(row.try_get(6)?).map_err(|()| corrupt("account"))?,
        zones,
        scopes,
    })
}

const SELECT: &str = "SELECT id, name, role, created_us, last_used_us, expires_us, account, scopes \
    FROM token";
